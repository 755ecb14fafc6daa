// Memory that can be made smaller, which the platform has and the types of ES2022 do not.

/** An `ArrayBuffer` that can be made smaller. */
export interface Resizable extends ArrayBuffer {
  resize(length: number): void
}

/** Memory of `length` bytes, which is also the most that it can have. */
export function resizable(length: number): Resizable {
  const Kind = ArrayBuffer as unknown as new (
    length: number,
    options: { readonly maxByteLength: number },
  ) => Resizable
  return new Kind(length, { maxByteLength: length })
}
