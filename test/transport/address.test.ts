import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Address } from '../../lib/base/runtime.js'
import {
  managerIn,
  MANAGER_PORT,
  parseHostPort,
  parseUrl,
  textOf,
  urlOf,
} from '../../lib/transport/address.js'
import { throws } from '../support/assertions.js'

const test = suite('address')

const URLS: readonly [string, Address][] = [
  ['rankio://host:7300', { kind: 'tcp', host: 'host', port: 7300 }],
  ['rankio://127.0.0.1:1', { kind: 'tcp', host: '127.0.0.1', port: 1 }],
  [
    'rankio://node-7.cluster.example:65535',
    { kind: 'tcp', host: 'node-7.cluster.example', port: 65_535 },
  ],
  ['rankio://[::1]:7300', { kind: 'tcp', host: '::1', port: 7300 }],
  ['rankio://[fe80::1:2]:80', { kind: 'tcp', host: 'fe80::1:2', port: 80 }],
  ['rankio+unix:/run/rankio/manager', { kind: 'unix', path: '/run/rankio/manager' }],
  ['rankio+unix:/with space/ü', { kind: 'unix', path: '/with space/ü' }],
]

for (const [url, address] of URLS) {
  test(`${url} is read, and written as it was`, () => {
    assert.equal(parseUrl(url), address)
    assert.is(urlOf(address), url)
  })
}

test('a manager without a port has the usual one', () => {
  assert.equal(parseUrl('rankio://host'), { kind: 'tcp', host: 'host', port: MANAGER_PORT })
  assert.equal(parseUrl('rankio://host/'), { kind: 'tcp', host: 'host', port: MANAGER_PORT })
  assert.equal(parseUrl('rankio://[::1]'), { kind: 'tcp', host: '::1', port: MANAGER_PORT })
})

for (const url of [
  '',
  'host:7300',
  'http://host:1',
  'rankio://',
  'rankio://host:0',
  'rankio://host:65536',
  'rankio://host:x',
  'rankio://a b:1',
  'rankio://host:1/path',
  'rankio://::1:7300',
  'rankio+unix:relative',
  'rankio+unix:',
]) {
  test(`${JSON.stringify(url)} is refused with the forms that are`, () => {
    assert.match(
      throws(() => parseUrl(url), 'MPI_ERR_ARG').message,
      /: not of the form rankio:\/\/host:port or rankio\+unix:\/path$/,
    )
  })
}

test('an entry of an iodtab is a host and a port', () => {
  assert.equal(parseHostPort('host:7301'), { kind: 'tcp', host: 'host', port: 7301 })
  assert.equal(parseHostPort('[::1]:7301'), { kind: 'tcp', host: '::1', port: 7301 })
  for (const text of [
    '',
    'host',
    'host:',
    ':7301',
    'host:0',
    'host:70000',
    'a b:1',
    'host:1:2',
    '::1:7301',
  ]) {
    assert.is(parseHostPort(text), undefined, text)
  }
})

test('an address in words is what a person would write', () => {
  assert.is(textOf({ kind: 'tcp', host: 'host', port: 1 }), 'host:1')
  assert.is(textOf({ kind: 'tcp', host: '::1', port: 1 }), '[::1]:1')
  assert.is(textOf({ kind: 'unix', path: '/a' }), '/a')
})

test('a manager is named by the environment, unless that is empty', () => {
  assert.is(managerIn({ RANKIO_MANAGER: 'rankio://host' }), 'rankio://host')
  for (const env of [{}, { RANKIO_MANAGER: undefined }, { RANKIO_MANAGER: '' }])
    assert.is(managerIn(env), undefined)
  assert.is(
    throws(() => managerIn({ RANKIO_MANAGER: 'node1' }), 'MPI_ERR_ARG').message,
    'RANKIO_MANAGER "node1": not of the form rankio://host:port or rankio+unix:/path',
  )
})

test.run()
