/** The log: four levels, a message and fields, as lines for people or for programs. */

import { toHex } from './bytes.ts'
import { SignalMeshError } from './errors.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface Log {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** Whether lines of the lowest level are written: for fields that cost something. */
  readonly isDebug?: boolean
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const LOG_FORMATS = ['pretty', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export interface LogOptions {
  /** Lines below this level are not written. */
  readonly level: LogLevel
  readonly format: LogFormat
  /** Takes one whole line, its line break included. */
  write(line: string): void
  nowMs(): number
}

/** A log that formats lines and hands them to `write`. */
export function makeLog(options: LogOptions): Log {
  const format = options.format === 'json' ? jsonLine : prettyLine
  const lowest = LOG_LEVELS.indexOf(options.level)
  const at =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}): void => {
      if (LOG_LEVELS.indexOf(level) < lowest) return
      options.write(`${format(options.nowMs(), level, message, fields)}\n`)
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isDebug: lowest === 0,
  }
}

/** The same log, in which each line has these fields too. */
export function withFields(log: Log, always: Fields): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}): void =>
      log[level](message, { ...always, ...fields })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isDebug: log.isDebug ?? false,
  }
}

/** A log that writes nothing. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** One line of JSON: `time`, `level`, `message`, then the fields. */
export function jsonLine(
  nowMs: number,
  level: LogLevel,
  message: string,
  fields: Fields = {},
): string {
  const plain = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, plainOf(value)]),
  )
  const head = { time: new Date(nowMs).toISOString(), level, message }
  // Twice: first in the line, and stronger than a field of the same name.
  return JSON.stringify({ ...head, ...plain, ...head })
}

function prettyLine(nowMs: number, level: LogLevel, message: string, fields: Fields): string {
  const time = new Date(nowMs).toISOString().slice(11, 23)
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${prettyValue(plainOf(value))}`)
  return `${time} ${level.padEnd(5)} ${message}${rest.join('')}`
}

/** Quotes whatever could be taken for something else: spaces, and line breaks sent by a stranger. */
function prettyValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function plainOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (value instanceof SignalMeshError) return `${value.code}: ${value.message}`
  if (value instanceof Error) return value.message
  if (typeof value === 'bigint') return String(value)
  return value
}
