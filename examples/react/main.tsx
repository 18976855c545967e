/** A React application: one of three rooms, alive for as long as it is shown. */

import { type ReactNode, StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useMesh, useRoom } from 'signal-mesh/react'

const ROOMS = ['red', 'green', 'blue']

function App(): ReactNode {
  const [name, show] = useState('red')
  const [waves, setWaves] = useState(0)
  const { state, edge, error } = useMesh()
  const onMessage = (): void => setWaves(waves + 1)
  const { peers, room } = useRoom(edge, `examples/react/${name}`, { onMessage })
  return (
    <>
      <p role="status">{error ? error.message : `The mesh: ${state}`}</p>
      <select value={name} onChange={({ target }) => show(target.value)} aria-label="Room">
        {ROOMS.map((room) => (
          <option key={room}>{room}</option>
        ))}
      </select>
      <p id="room">
        {peers.size} others in {name}, {waves} waves so far
      </p>
      <button type="button" onClick={() => room?.send('wave')}>
        Wave
      </button>
    </>
  )
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
