/** Restart: brings an open connection that has lost its path a new one, and says when that is hopeless. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import { RECOVERY_MS, RESTART_AGAIN_MS, RTC_AWAY_MS } from '../limits.ts'

export interface RestartOptions {
  readonly clock: Clock
  /** The one of the two that makes offers; so two restarts at once are one. */
  readonly initiator: boolean
  /** Of the descriptions that there are. */
  generation(): number
  /** Makes an offer with new addresses: at once, or behind the one that is not answered yet. */
  restart(): void
  /** Asks the initiator for an offer of this generation. */
  ask(generation: number): void
  /** Whether this edge has a home, so that it would hear of the peer. */
  isHome(): boolean
  onGone(error: SignalMeshError): void
}

export interface Restart {
  /** The path is lost, or is back. */
  away(isAway: boolean): void
  /** The peer asks for an offer of this generation. */
  asked(generation: number): void
  /** The peer said something new over the mesh. */
  heard(): void
  /** There is a home again: what waited goes out, with the addresses of before. */
  homeIsBack(): void
  readonly isAway: boolean
  stop(): void
}

/** A generation counts in a byte. */
export const nextGeneration = (generation: number): number => (generation + 1) & 0xff

export function createRestart(options: RestartOptions): Restart {
  const { clock, initiator } = options
  const never = (): void => {}
  let awaySinceMs: number | undefined
  let heardAtMs = 0
  let restartedAtMs = Number.NEGATIVE_INFINITY
  let tries = 0
  let cancelAgain = never
  let cancelEnd = never
  /** The generation for which an offer was asked for last; it may take its time. */
  let begun: number | undefined
  let isStopped = false

  const nowMs = (): number => clock.monotonicMs()

  /** A peer that asks without end costs this side one restart in a while. */
  const restart = (): void => {
    const generation = nextGeneration(options.generation())
    if (generation === begun && nowMs() < restartedAtMs + RESTART_AGAIN_MS) return
    if (nowMs() < restartedAtMs + RESTART_AGAIN_MS / 2) return
    begun = generation
    restartedAtMs = nowMs()
    options.restart()
  }

  const attempt = (): void => {
    cancelAgain()
    // A slow path takes longer than the first attempt had; but a peer must be heard of meanwhile.
    cancelAgain = clock.after(RESTART_AGAIN_MS * (tries++ > 0 ? 2 : 1), attempt)
    if (initiator) restart()
    else options.ask(nextGeneration(options.generation()))
  }

  const watch = (sinceMs: number): void => {
    cancelEnd()
    const wallMs = clock.nowMs()
    const endsAtMs = sinceMs + RECOVERY_MS
    // Who has no home hears of nobody.
    const silentAtMs = options.isHome() ? heardAtMs + RTC_AWAY_MS : endsAtMs
    const inMs = Math.min(endsAtMs, silentAtMs) - nowMs()
    if (inMs <= 0) {
      options.onGone(nowMs() < endsAtMs ? goneError() : lostError(options.isHome()))
      return
    }
    cancelEnd = clock.after(inMs, () => {
      // After a sleep the timer runs before what has come meanwhile is handed over.
      const sleptMs = clock.nowMs() - wallMs - inMs
      if (sleptMs > RESTART_AGAIN_MS) begin()
      else watch(sinceMs)
    })
  }

  const begin = (): void => {
    tries = 0
    awaySinceMs = nowMs()
    heardAtMs = awaySinceMs
    watch(awaySinceMs)
    attempt()
  }

  const rest = (): void => {
    awaySinceMs = undefined
    cancelAgain()
    cancelEnd()
  }

  return {
    away: (isAway) => {
      if (isStopped || isAway === (awaySinceMs !== undefined)) return
      if (isAway) begin()
      else rest()
    },
    asked: (generation) => {
      if (isStopped || !initiator) return
      // Of an earlier one the offer is on its way.
      if (generation === nextGeneration(options.generation())) restart()
    },
    heard: () => {
      if (awaySinceMs === undefined) return
      heardAtMs = nowMs()
    },
    homeIsBack: () => {
      if (awaySinceMs === undefined) return
      heardAtMs = nowMs()
      tries = 0
      attempt()
      watch(awaySinceMs)
    },
    get isAway() {
      return awaySinceMs !== undefined
    },
    stop: () => {
      isStopped = true
      rest()
    },
  }
}

function lostError(isHome: boolean): SignalMeshError {
  const text = `The path to the peer was lost, and none was found again within ${RECOVERY_MS} ms`
  return isHome
    ? new SignalMeshError('RTC_FAILED', text)
    : new SignalMeshError('NO_HOME', `${text}, without a home node to ask by`)
}

function goneError(): SignalMeshError {
  return new SignalMeshError('PEER_LEFT', `The peer was away for ${RTC_AWAY_MS} ms`)
}
