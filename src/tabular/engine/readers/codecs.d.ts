declare module 'snappyjs' {
  export function compress<Bytes extends Uint8Array>(plain: Bytes): Bytes;
  export function uncompress(compressed: Uint8Array, maximumLength?: number): Uint8Array;
}

declare module 'lz4js' {
  export function decompress(compressed: Uint8Array, maximumLength?: number): Uint8Array;
}
