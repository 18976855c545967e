/** Firefox: its pages connect with each other and with Chromium's, through two nodes, in all that an edge does. */

import { assert, note, suite } from '../test/harness/suite.ts'
import { type Firefox, type FirefoxContext, launchFirefox, NO_FIREFOX } from './firefox.ts'
import { call, topicOf } from './support/echo.ts'
import { holdsNative } from './support/native.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { chromiumTab, firefoxTab, type Tab } from './support/tabs.ts'

const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']

const test = suite('firefox', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test, FAKE_DEVICES)
const firefox = await launchFirefox()
const contexts: FirefoxContext[] = []
const pageErrors: string[] = []

test.after(async () => {
  await firefox?.close()
})
test.afterEach(async () => {
  // A profile of its own for each test; the window that was there first keeps the browser running.
  for (const context of contexts.splice(0)) await context.close()
  assert.equal(pageErrors.splice(0), [], 'errors in pages that nobody caught')
})

if (!firefox) test.skip('Firefox connects with Firefox and with Chromium', NO_FIREFOX)
else testWith(firefox)

function testWith(firefox: Firefox): void {
  /** Two tabs of Firefox and one of Chromium, each at another node than the one before. */
  const open = async () => {
    const stage = await openStage(2)
    const context = await firefox.createBrowserContext()
    contexts.push(context)
    const tab = (node: number, name: 'fox' | 'vixen'): Promise<Tab> =>
      firefoxTab(context, stage.urls[node] as string, name, pageErrors)
    const fox = await tab(0, 'fox')
    const vixen = await tab(1, 'vixen')
    const chrome = await chromiumTab(stage, 0, 'chrome')
    const pairs = [
      ['Firefox calls Firefox', fox, vixen],
      ['Firefox calls Chromium', vixen, chrome],
      ['Chromium calls Firefox', chrome, vixen],
    ] as const
    return { stage, fox, vixen, chrome, tabs: [fox, vixen, chrome], pairs }
  }

  test('its own WebCrypto gives the verdicts that were written down', async () => {
    const context = await firefox.createBrowserContext()
    contexts.push(context)
    await holdsNative(await context.newPage())
  })

  test('Firefox and Chromium exchange messages, whichever calls', async () => {
    const { pairs } = await open()
    for (const [said, from, to] of pairs) {
      const outcome = await from.run((id) => call(own.edge, own.name, id), to.id)
      assert.equal(outcome, { text: true, bytes: true, large: true }, said)
      const path = await from.run(async (id) => {
        await own.until('a path', () => own.connections.get(id)?.path !== 'unknown')
        return String(own.connections.get(id)?.path)
      }, to.id)
      // Where mDNS hides the host's address, a check that comes from it shows it as another's.
      assert.ok(['local', 'direct'].includes(path), `${said}: ${path}`)
    }
  })

  test('frames of a camera arrive in Firefox and from it, at connect, at accept and later', async () => {
    const { pairs } = await open()
    for (const [, from, to] of pairs) {
      await to.run(answerWithCamera, undefined)
      await from.run(connectWithCamera, to.id)
      await Promise.all([from.run(framesArrive, to.id), to.run(framesArrive, from.id)])
      // The called asks the caller to negotiate anew, in both cases.
      await to.run(removeCamera, from.id)
      await from.run(framesStop, to.id)
      await to.run(addCamera, from.id)
      await from.run(framesArrive, to.id)
    }
  })

  test('a room of Firefox and Chromium is whole, and all in it hear each other', async () => {
    const { tabs } = await open()
    await Promise.all(tabs.map((tab) => tab.run(enterRoom, 'den')))
    for (const tab of tabs) {
      await tab.run((count) => own.until('all', () => own.room?.peers.size === count), 2)
    }
    for (const tab of tabs) await tab.run((text) => own.room?.send(text), 'hello')
    for (const tab of tabs) {
      await tab.run((count) => own.until('words of all', () => own.heard.size === count), 2)
    }
  })

  test('Firefox is home again after its home was killed: the same peer, with its connection', async () => {
    const { stage, fox, vixen } = await open()
    await fox.run((id) => call(own.edge, own.name, id), vixen.id)
    await fox.run(() => void own.homes.splice(0), undefined)
    const startMs = performance.now()
    await stage.kill(0)
    const home = await fox.run(async () => {
      await own.until('another home', () => own.homes.at(-1) === 'open')
      return own.edge.home.nodeId
    }, undefined)
    note(`Firefox is home again ${Math.round(performance.now() - startMs)} ms after the kill`)
    assert.is(home, stage.nodeId(1))
    const state = await fox.run((id) => own.connections.get(id)?.state, vixen.id)
    assert.is(state, 'open')
    // It has its topics there and can be called.
    const outcome = await vixen.run((id) => call(own.edge, own.name, id), fox.id)
    assert.equal(outcome, { text: true, bytes: true, large: true })
    assert.is(await fox.run(() => own.edge.id, undefined), fox.id)
  })
}

test.run()

function answerWithCamera(): void {
  own.answersWithCamera = true
}

async function connectWithCamera(id: string): Promise<void> {
  const topic = topicOf(own.name)
  for await (const change of own.edge.watch(topic)) if (change.id === id) break
  await own.edge.connect(id, { topic, stream: await own.camera() })
}

async function framesArrive(id: string): Promise<void> {
  // Half a second of a camera: more than a key frame that came by chance.
  const enough = 10
  await own.until('the connection is told', () => own.connections.has(id))
  const before = await own.frames(id)
  await own.until('frames come', async () => (await own.frames(id)) > before + enough)
}

async function framesStop(id: string): Promise<void> {
  let before = -1
  await own.until('frames stop', async () => {
    const last = before
    before = await own.frames(id)
    await new Promise((resolve) => setTimeout(resolve, 300))
    return last === before
  })
}

function removeCamera(id: string): void {
  for (const stream of own.cameras) own.connections.get(id)?.removeStream(stream)
}

async function addCamera(id: string): Promise<void> {
  own.connections.get(id)?.addStream(await own.camera())
}

async function enterRoom(topic: string): Promise<void> {
  own.room = await own.edge.join(topic)
  own.room.on('message', ({ from }) => own.heard.add(from))
}
