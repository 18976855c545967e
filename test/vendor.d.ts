/** Types of the packages that only tests use and that bring none: only what is used. */

declare module 'hypercore' {
  export default class Hypercore {
    constructor(storage: unknown, key?: Uint8Array | object, options?: object)
    ready(): Promise<void>
    readonly key: Uint8Array
    readonly length: number
    append(block: Uint8Array): Promise<unknown>
    get(index: number): Promise<Uint8Array>
    update(options?: { wait?: boolean }): Promise<boolean>
    replicate(stream: object | boolean, options?: object): object
    close(): Promise<void>
  }
}

declare module 'random-access-memory' {
  export default class RandomAccessMemory {}
}
