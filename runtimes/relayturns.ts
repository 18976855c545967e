/** Turns of a relay's clients: what one says is read while nothing else runs, so that nobody is blamed for another. */

export interface RelayTurns<Order> {
  push(order: Order): void
  /** Whose orders are being read, for as long as what they do can throw at once. */
  readonly reading: number | undefined
}

/**
 * What comes together is handed over one client after the other. What a frame does goes on in ticks and
 * microtasks, which in one turn would run only behind the frames of all.
 */
export function createRelayTurns<Order extends { readonly id: number }>(
  read: (order: Order) => void,
): RelayTurns<Order> {
  /** In the order of their turns. */
  const due = new Map<number, Order[]>()
  let reading: number | undefined
  let isTurnDue = false

  const readOne = (): void => {
    const [id, orders] = due.entries().next().value as [number, Order[]]
    due.delete(id)
    reading = id
    for (const order of orders) read(order)
  }

  const forget = (): void => {
    reading = undefined
    isTurnDue = false
    if (due.size > 0) nextTurn()
  }

  const nextTurn = (): void => {
    isTurnDue = true
    // Both in one phase of the event loop: nothing that comes from outside is between them.
    setImmediate(readOne)
    setImmediate(forget)
  }

  return {
    push: (order) => {
      const orders = due.get(order.id)
      if (orders) orders.push(order)
      else due.set(order.id, [order])
      if (!isTurnDue) nextTurn()
    },
    get reading() {
      return reading
    },
  }
}
