/** Carrying: how two edges whose ICE finds no path agree that their homes carry, and go on looking for a path. */

import { badFrame, fromUtf8, reader, toHex, utf8, writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { asMeshError, CODE_NUMBERS, codeOfNumber, SignalMeshError } from '../errors.ts'
import {
  CARRY_AFTER_MS,
  MAX_ERROR_TEXT_BYTES,
  MOVE_WITHIN_MS,
  RTC_ANEW_MAX_MS,
  RTC_ANEW_MS,
  RTC_STUCK_MS,
  WAKE_AGAIN_MS,
} from '../limits.ts'
import type { Split } from '../noise.ts'
import { type Carried, createCarried } from './carried.ts'
import type { Carrier } from './carrier.ts'

export interface CarryingOptions {
  readonly clock: Clock
  readonly initiator: boolean
  /** Without one, or where it is not to be, this edge is not carried. */
  readonly carrier: Carrier | undefined
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly connection: Uint8Array
  /** The keys, once both sides have their final ones. */
  keys(): Split | undefined
  /** Tells the other side; what is said here is taken by its `take`. */
  say(data: Uint8Array): void
  /** Homes carry: the connection can open. */
  onOpen(carried: Carried): void
  onPiece(piece: Uint8Array): void
  /** There is no other path, and homes do not carry, or no more. */
  onFailed(error: SignalMeshError): void
  /** Makes another RTC connection, for the last found no path. */
  renew(): void
}

export interface Carrying {
  /** Both sides have agreed to connect; ICE has its time from now on. */
  answered(): void
  /** Takes what the other side says of it. @throws SignalMeshError `BAD_FRAME` */
  take(data: Uint8Array): void
  /** The RTC connection has failed; false if nothing takes its place. */
  holds(error: SignalMeshError): boolean
  /** What the other side says of the RTC connection before this one is skipped. */
  readonly isSkipping: boolean
  /** There is another home, and perhaps another network. */
  homeIsBack(): void
  /** This side has a path of its own; the homes are left when the peer has it too. */
  moved(): void
  /** Both have. */
  done(): void
  stop(): void
}

/** First byte of what is said: a wish, yes, no, and that another RTC connection begins. */
const SAYS = { ask: 1, agree: 2, refuse: 3, anew: 4 } as const
/** Who is called waits so long for the caller's wish, after its own RTC connection has failed. */
const WISH_WITHIN_MS = 4 * CARRY_AFTER_MS

export function createCarrying(options: CarryingOptions): Carrying {
  const { clock, initiator, carrier } = options
  const place = { peer: toHex(options.to), connection: toHex(options.connection) }
  let carried: Carried | undefined
  let isAsked = false
  let isAnswered = false
  let isOpen = false
  let isSkipping = false
  let hasMoved = false
  let isOver = carrier === undefined
  /** Why there is no RTC connection, while one of the homes is waited for. */
  let failure: SignalMeshError | undefined
  let anewMs = RTC_ANEW_MS
  let anewAtMs = Number.NEGATIVE_INFINITY
  let cancelTimer: (() => void) | undefined
  let cancelAnew: (() => void) | undefined

  /** Not again in this connection. */
  const stop = (): void => {
    isOver = true
    cancelTimer?.()
    cancelAnew?.()
    carried?.close()
    carrier?.end(place)
  }

  const refused = (error: SignalMeshError): void => {
    if (isOver) return
    const wasOpen = isOpen
    stop()
    if (wasOpen) options.onFailed(error)
    else if (failure) options.onFailed(failure)
  }

  const begin = async (): Promise<void> => {
    const keys = options.keys()
    if (!carrier || !keys) throw new SignalMeshError('REFUSED', 'It is not carried')
    const lane = createCarried({
      clock,
      keys,
      from: options.from,
      to: options.to,
      connection: options.connection,
      wake: carrier.wake,
      onHeard: () => {
        if (isOver || isOpen) return
        isOpen = true
        cancelTimer?.()
        options.onOpen(lane)
        anewLater()
      },
      onPiece: options.onPiece,
      onFailed: refused,
    })
    carried = lane
    await carrier.begin(place, { ...lane, onEnded: refused })
  }

  /** The caller asks for it: two wishes at once would have to be told apart. */
  const ask = (): void => {
    cancelTimer?.()
    if (isAsked || isOver || !initiator || !isAnswered) return
    isAsked = true
    options.say(Uint8Array.of(SAYS.ask))
    begin().then(
      () => carried?.knock(),
      (error) => {
        if (isOver) return
        sayRefused(asMeshError(error))
        refused(asMeshError(error))
      },
    )
  }

  /** Who was asked says yes once its home does. */
  const agree = async (): Promise<void> => {
    isAsked = true
    cancelTimer?.()
    try {
      if (isOver) throw new SignalMeshError('REFUSED', 'It wants no relay')
      await begin()
      if (!isOver) options.say(Uint8Array.of(SAYS.agree))
    } catch (error) {
      sayRefused(asMeshError(error))
      refused(asMeshError(error))
    }
  }

  const sayRefused = ({ code, message }: SignalMeshError): void => {
    const text = utf8(message.slice(0, MAX_ERROR_TEXT_BYTES / 4))
    options.say(writer().u8(SAYS.refuse).u16(CODE_NUMBERS[code]).bytes(text).done())
  }

  const anewLater = (): void => {
    if (!initiator || isOver) return
    cancelAnew?.()
    // Where ICE has nothing to try, it may not even fail.
    cancelAnew = clock.after(failure ? anewMs : Math.max(anewMs, RTC_STUCK_MS), anew)
    if (failure) anewMs = Math.min(2 * anewMs, RTC_ANEW_MAX_MS)
  }

  const sinceAnewMs = (): number => clock.monotonicMs() - anewAtMs

  const anew = (): void => {
    anewAtMs = clock.monotonicMs()
    cancelAnew?.()
    cancelAnew = undefined
    failure = undefined
    isSkipping = true
    options.say(Uint8Array.of(SAYS.anew))
    options.renew()
    anewLater()
  }

  const takeAnew = (): void => {
    if (initiator) isSkipping = false
    // Each makes an RTC connection here: a peer that wants more of them than an honest one waits in vain.
    else if (isOpen && !hasMoved && sinceAnewMs() >= WAKE_AGAIN_MS / 2) {
      anewAtMs = clock.monotonicMs()
      failure = undefined
      options.say(Uint8Array.of(SAYS.anew))
      options.renew()
    }
  }

  return {
    answered: () => {
      if (isAnswered) return
      isAnswered = true
      if (initiator && !isOver) cancelTimer = clock.after(CARRY_AFTER_MS, ask)
    },
    take: (data) => {
      const r = reader(data)
      const says = r.u8()
      if (says === SAYS.ask && !initiator) {
        // Here, for nobody waits for what follows: what that threw would end a process.
        if (isAsked) throw badFrame('asked twice to be carried')
        void agree()
      } else if (says === SAYS.agree && initiator) carried?.knock()
      else if (says === SAYS.refuse) {
        const code = codeOfNumber(r.u16())
        refused(new SignalMeshError(code, `The peer is not carried: ${fromUtf8(r.rest())}`))
      } else if (says === SAYS.anew) takeAnew()
    },
    holds: (error) => {
      if (isOver || hasMoved || !options.keys()) return false
      const isNews = !failure
      failure = error
      if (isOpen && isNews) anewLater()
      else if (isOpen) return true
      else if (initiator) ask()
      else if (!isAsked) cancelTimer = clock.after(WISH_WITHIN_MS, () => refused(error))
      return true
    },
    get isSkipping() {
      return isSkipping
    },
    homeIsBack: () => {
      if (cancelAnew && sinceAnewMs() >= WAKE_AGAIN_MS) anew()
    },
    moved: () => {
      hasMoved = true
      cancelTimer?.()
      cancelAnew?.()
      if (isOpen) cancelTimer = clock.after(2 * MOVE_WITHIN_MS, stop)
      else stop()
    },
    done: () => {
      if (isOpen) stop()
    },
    stop,
  }
}
