// What a broker's return and reason codes mean for us: MQTT 3.1.1 table 3.1, MQTT 5 table 2.6.
import type { PublishRefusal } from "./packet-port.ts";

/**
 * `version`: another protocol version may do. `final`: it will be the same tomorrow, somebody must change something. `passing`: it may
 * do later.
 */
export type ConnectVerdict = "version" | "final" | "passing";

interface ConnectRefusal {
  readonly verdict: ConnectVerdict;
  readonly reason: string;
}

const CREDENTIALS = "check the user name and the password";
const ACCESS = "check the user name, the password and the broker's access list";
const CLIENT_ID = "choose another client id";

const REFUSALS: Readonly<Record<number, ConnectRefusal>> = {
  1: { verdict: "version", reason: "it does not speak this MQTT version" },
  2: { verdict: "final", reason: `it rejects the client id; ${CLIENT_ID}` },
  3: { verdict: "passing", reason: "it is unavailable" },
  4: { verdict: "final", reason: `bad user name or password; ${CREDENTIALS}` },
  5: { verdict: "final", reason: `not authorized; ${ACCESS}` },
  0x81: { verdict: "final", reason: "it takes our CONNECT for malformed; check that this is an MQTT broker" },
  0x82: { verdict: "final", reason: "it takes our CONNECT for a protocol error; check that this is an MQTT broker" },
  0x84: { verdict: "version", reason: "it does not speak this MQTT version" },
  0x85: { verdict: "final", reason: `it rejects the client id; ${CLIENT_ID}` },
  0x86: { verdict: "final", reason: `bad user name or password; ${CREDENTIALS}` },
  0x87: { verdict: "final", reason: `not authorized; ${ACCESS}` },
  0x8a: { verdict: "final", reason: "it has banned this client; check the broker's ban list" },
  0x8c: { verdict: "final", reason: `bad authentication method; ${ACCESS}` },
  0x90: { verdict: "final", reason: "it does not accept the will's topic; check the broker's access list" },
  0x9a: { verdict: "final", reason: "it keeps no retained messages, which the will asks for; allow them in the broker" },
  0x9b: { verdict: "final", reason: "it does not support the will's quality of service; allow QoS 1 in the broker" },
  0x9c: { verdict: "final", reason: "it sends us to another server; change the URL" },
  0x9d: { verdict: "final", reason: "it has moved; change the URL" },
};

/** What a CONNACK's code (not 0) asks for. */
export function connectRefusal(code: number): ConnectRefusal {
  return REFUSALS[code] ?? { verdict: "passing", reason: `it answers with code 0x${code.toString(16)}` };
}

export const SESSION_TAKEN_OVER = 0x8e;

const DISCONNECTS: Readonly<Record<number, string>> = {
  0x8b: "the broker is shutting down",
  0x8d: "the broker has not heard from us in time",
  [SESSION_TAKEN_OVER]: "another client uses our client id",
  0x93: "the broker says that we send more than it takes",
  0x95: "the broker says that a packet is too large",
  0x97: "the broker says that a quota is exceeded",
  0x98: "the broker's operator ended the connection",
  0x9a: "the broker keeps no retained messages",
  0x9b: "the broker does not support this quality of service",
};

/** The text of a DISCONNECT from an MQTT 5 broker. */
export function disconnectReason(code: number): string {
  return DISCONNECTS[code] ?? `the broker ended the connection with code 0x${code.toString(16)}`;
}

const PUBLISH_REFUSALS: Readonly<Record<number, PublishRefusal>> = {
  0x83: "implementation_specific",
  0x87: "not_authorized",
  0x90: "topic_name_invalid",
  0x95: "packet_too_large",
  0x97: "quota_exceeded",
  0x99: "payload_format_invalid",
};

/** Why an MQTT 5 broker does not take a publish: its PUBACK's code, 0x80 or above. */
export function publishRefusal(code: number): PublishRefusal {
  return PUBLISH_REFUSALS[code] ?? "unspecified";
}
