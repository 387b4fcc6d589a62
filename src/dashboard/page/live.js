// The connection to the runtime: server-sent events that come back by themselves, requests, and in words what is in the way.

/**
 * Listens to `path`; `handlers` by event. `onState` is told "live", or "lost" with a sentence, or "token" where one is needed. A page that
 * nobody sees lets go after a minute.
 */
export function listen(path, handlers, onState) {
  let source;
  let retry;
  let letGo;
  let closed = false;

  const lost = async () => {
    const sentence = await reasonOfSilence();
    if (closed || source?.readyState === EventSource.OPEN) return;
    onState(sentence === undefined ? "token" : "lost", sentence);
    // A browser tries again by itself after a cut, and never after a refusal.
    if (source?.readyState === EventSource.CLOSED && sentence !== undefined) retry = setTimeout(open, 3000);
  };
  const open = () => {
    close();
    source = new EventSource(path);
    source.addEventListener("open", () => onState("live"));
    source.addEventListener("error", () => void lost());
    for (const [event, handle] of Object.entries(handlers))
      source.addEventListener(event, ({ data }) => handle(JSON.parse(data)));
  };
  const close = () => {
    clearTimeout(retry);
    source?.close();
    source = undefined;
  };
  const look = () => {
    clearTimeout(letGo);
    if (document.hidden) letGo = setTimeout(close, 60_000);
    else if (source === undefined) open();
  };
  document.addEventListener("visibilitychange", look);
  open();
  return () => {
    closed = true;
    document.removeEventListener("visibilitychange", look);
    clearTimeout(letGo);
    close();
  };
}

/** Why nothing comes; undefined where a token is wanted. */
async function reasonOfSilence() {
  try {
    const { status, ok } = await fetch("streams?count=0", { cache: "no-store" });
    if (status === 401) return undefined;
    if (ok) return "Too many pages are open, or the connection was cut just now.";
    return `It answers with the error ${status}.`;
  } catch {
    return "It has stopped, is starting again, or the network is down.";
  }
}

export class Refused extends Error {}

/** JSON from the runtime. Throws `Refused` with its words, or what the network has. */
export async function ask(path, body) {
  const request =
    body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { cache: "no-store", ...request });
  const text = await response.text();
  if (response.ok) return text.trim() === "" ? undefined : JSON.parse(text);
  let words = text.trim();
  try {
    words = JSON.parse(text).error;
  } catch {
    // It was words already.
  }
  throw new Refused(words);
}
