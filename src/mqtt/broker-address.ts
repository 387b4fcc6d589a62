// Where a broker is, read from its URL. User name and password may stand in the URL; they are taken out of it, so that what is
// logged or shown never holds them.
import { HiddenstateError } from "../base/errors.ts";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  /** TLS. */
  readonly secure: boolean;
  /** What is sent there stays on this machine. */
  readonly isLoopback: boolean;
  /** For people: scheme, host and port only. */
  readonly display: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const DEFAULT_PORTS = { "mqtt:": 1883, "mqtts:": 8883 } as const;

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch (thrown) {
    throw new HiddenstateError(
      "bad_config",
      `cannot use a broker's URL: it is not a URL; write mqtt://host:port or mqtts://host:port`,
      thrown,
    );
  }
}

/** Whether a host, by name or by address without brackets, is this machine itself. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Throws `bad_config` where `url` is not `mqtt://` or `mqtts://` with a host and, at most, credentials and a port. */
export function parseBrokerUrl(url: string): BrokerAddress {
  const { protocol, hostname, port, username, password, pathname, search } = parse(url);
  if (protocol !== "mqtt:" && protocol !== "mqtts:") {
    throw new HiddenstateError(
      "bad_config",
      `cannot use ${protocol}// for a broker; write mqtt://host:port or mqtts://host:port`,
    );
  }
  if (hostname === "")
    throw new HiddenstateError("bad_config", `cannot use a broker's URL: it names no host; write ${protocol}//host:port`);
  if ((pathname !== "" && pathname !== "/") || search !== "") {
    throw new HiddenstateError(
      "bad_config",
      `cannot use a broker's URL: "${pathname}${search}" follows the host; write ${protocol}//host:port`,
    );
  }
  // A URL writes an IPv6 address in brackets; a socket wants it without.
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const portNumber = port === "" ? DEFAULT_PORTS[protocol] : Number(port);
  return {
    host,
    port: portNumber,
    secure: protocol === "mqtts:",
    isLoopback: isLoopbackHost(host),
    display: `${protocol}//${hostname}:${portNumber}`,
    username: username === "" ? undefined : decodeURIComponent(username),
    password: password === "" ? undefined : decodeURIComponent(password),
  };
}
