/** What a node answers over HTTP. */

import { answerHttp } from '../src/http.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('http')
const health = () => ({ status: 'ok', edges: 2 })
const assets = (path: string) => (path === '/' ? new Response('page') : undefined)
const ask = (path: string, method = 'GET') =>
  answerHttp(new Request(`http://node.example${path}`, { method }), health, assets)

test('tells its health as JSON to any page, and lets nobody keep it', async () => {
  const response = ask('/health?x=1')
  assert.is(response.status, 200)
  assert.equal(await response.json(), health())
  assert.match(response.headers.get('content-type') ?? '', 'application/json')
  assert.is(response.headers.get('access-control-allow-origin'), '*')
  assert.is(response.headers.get('cache-control'), 'no-store')
})

test('serves what it was given, and names what there is for any other path', async () => {
  assert.is(await ask('/').text(), 'page')
  const missing = ask('/nothing')
  assert.is(missing.status, 404)
  assert.match(await missing.text(), '/health')
  assert.is(answerHttp(new Request('http://node.example/'), health, undefined).status, 404)
})

test('answers only GET and HEAD', () => {
  assert.is(ask('/health', 'HEAD').status, 200)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = ask('/health', method)
    assert.is(response.status, 405, method)
    assert.is(response.headers.get('allow'), 'GET, HEAD')
  }
})

test.run()
