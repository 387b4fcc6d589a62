// A proxy as Home Assistant's ingress is one: it takes its own path off, and passes everything else on as the browser sent it, Host too.
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

const INGRESS_PATH = "/api/ingress/x/";

export interface Ingress {
  /** Of the page behind it. */
  readonly url: string;
  close(): void;
}

/** Listens on `address` of loopback, and asks from there. */
export async function startIngress(target: string, address = "127.0.0.1"): Promise<Ingress> {
  const proxy = createServer((asked, answer) => {
    const path = `/${asked.url!.slice(INGRESS_PATH.length)}`;
    const forwarded = [asked.headers["x-forwarded-for"] ?? [], "192.0.2.7"].flat().join(", ");
    const headers = { ...asked.headers, "x-forwarded-for": forwarded };
    const passed = request(
      new URL(path, target),
      { method: asked.method, headers, agent: false, localAddress: address },
      (response) => {
        answer.writeHead(response.statusCode!, response.headers);
        response.pipe(answer);
      },
    );
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, address, resolve));
  return {
    url: `http://${address}:${(proxy.address() as AddressInfo).port}${INGRESS_PATH}`,
    close: () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
