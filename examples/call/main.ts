/** A video call: the room sends one stream to each peer and hands out theirs. */

import { joinMesh } from 'signal-mesh/edge'

const element = (id: string): HTMLElement => document.getElementById(id) as HTMLElement

function show(stream: MediaStream, label: string, muted = false): HTMLVideoElement {
  const video = document.createElement('video')
  Object.assign(video, { srcObject: stream, autoplay: true, playsInline: true, muted })
  video.setAttribute('aria-label', label)
  element('videos').append(video)
  return video
}

try {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true })
  show(stream, 'You', true)

  const edge = await joinMesh()
  const room = await edge.join('examples/call', { maxPeers: 3, stream })
  room.on('peer', (connection) => {
    connection.on('stream', (theirs) => {
      const video = show(theirs, `Peer ${connection.id.slice(0, 6)}`)
      connection.on('close', () => video.remove())
    })
  })
  room.on('change', (peers) => {
    element('status').textContent = `In a call with ${peers.size}`
  })
  element('status').textContent = 'Waiting for somebody. Open this page once more.'

  const mute = element('mute') as HTMLButtonElement
  mute.disabled = false
  mute.addEventListener('click', () => {
    for (const track of stream.getAudioTracks()) track.enabled = !track.enabled
    mute.textContent = stream.getAudioTracks()[0]?.enabled ? 'Mute' : 'Unmute'
  })
} catch (error) {
  element('status').textContent = `No call: ${(error as Error).message}`
}
