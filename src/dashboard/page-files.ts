// The files of the page, read once: our own, which lie beside this module, and uPlot's, as its package has them.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Disk } from "../base/disk.ts";
import { readWhole } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { HttpReply } from "./http-server.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** By the path that a browser asks for. */
export type PageFiles = ReadonlyMap<string, HttpReply>;

/** Throws `missing_package` where a file is absent. */
export async function readPageFiles(disk: Disk): Promise<PageFiles> {
  const own = fileURLToPath(new URL("page", import.meta.url));
  const chart = `${dirname(createRequire(import.meta.url).resolve("uplot/package.json"))}/dist`;
  const paths = new Map((await disk.list(own)).map((name) => [name === "index.html" ? "" : `page/${name}`, `${own}/${name}`]));
  for (const name of ["uPlot.iife.min.js", "uPlot.min.css"]) paths.set(`page/${name}`, `${chart}/${name}`);
  const files = new Map<string, HttpReply>();
  for (const [path, file] of paths) {
    const body = await readWhole(disk, file);
    if (body === undefined)
      throw new HiddenstateError("missing_package", `cannot serve the page: there is no ${file}; install again`);
    const type = TYPES[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
    files.set(path, { status: 200, headers: { "content-type": type, "cache-control": "no-cache" }, body });
  }
  return files;
}
