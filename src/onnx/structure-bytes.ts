// How much of an ONNX file is structure (nodes, names, metadata) rather than tensors' numbers. Decoded structure takes about a hundred
// times its bytes in memory, numbers once theirs; so a stranger's file is measured before it is decoded.
import protobuf from "protobufjs/minimal.js";

const LENGTH_DELIMITED = 2;
/** ModelProto.graph, GraphProto.initializer, TensorProto.raw_data: the way down to the numbers, by field number. */
const WAY_TO_NUMBERS = [7, 5, 9] as const;

function numberBytes(reader: protobuf.Reader, end: number, depth: number): number {
  let bytes = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if ((tag & 7) !== LENGTH_DELIMITED || tag >>> 3 !== WAY_TO_NUMBERS[depth]) {
      reader.skipType(tag & 7, 0, tag >>> 3);
      continue;
    }
    const length = reader.uint32();
    const inner = reader.pos + length;
    if (inner > end) throw new RangeError(`a field ends at ${inner}, past its message's end at ${end}`);
    if (depth === WAY_TO_NUMBERS.length - 1) {
      bytes += length;
      reader.pos = inner;
    } else {
      bytes += numberBytes(reader, inner, depth + 1);
    }
  }
  if (reader.pos !== end) throw new RangeError(`a field ends at ${reader.pos}, past its message's end at ${end}`);
  return bytes;
}

/** Bytes of the file outside `graph.initializer[].raw_data`. Throws a RangeError or Error where the bytes are no protobuf message. */
export function structureBytes(file: Uint8Array): number {
  return file.length - numberBytes(protobuf.Reader.create(file), file.length, 0);
}
