// The part of the WebAssembly JavaScript interface that the kernels use. TypeScript declares it only together with a browser's document.

declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { readonly initial: number });
    /** Another object after each growth, when the one before is detached and has length 0. */
    readonly buffer: ArrayBuffer;
  }

  interface Module {
    /** No member says what it is; a name of its own keeps other objects out. */
    readonly [Symbol.toStringTag]: "WebAssembly.Module";
  }
  const Module: new (bytes: Uint8Array) => Module;

  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: Readonly<Record<string, unknown>>;
  }

  /** Whether the bytes are a module that this process can compile. */
  function validate(bytes: Uint8Array): boolean;
}
