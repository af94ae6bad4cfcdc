/** The bytes of a request: JSON, compressed or not, signed or not. */

import { createHmac } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compress = promisify(gzip);

/** What goes over the wire. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly headers: Record<string, string>;
  readonly gzip: boolean;
}

/** What signs bodies, and whether the time is signed with them. */
export interface Signing {
  readonly secretKey: string | null;
  readonly signTime: boolean;
}

/** The body for a JSON text. Each try has one of its own, since a time may be signed with it. */
export async function bodyOf(json: string, gzipAbove: number | null, { secretKey, signTime }: Signing): Promise<Body> {
  const plain = Buffer.from(json);
  const gzip = isCompressed(plain.length, gzipAbove);
  const bytes = gzip ? await compress(plain) : plain;
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (gzip) {
    headers["Content-Encoding"] = "gzip";
  }
  if (secretKey !== null) {
    Object.assign(headers, signatureHeaders(bytes, secretKey, signTime ? Math.floor(Date.now() / 1_000) : null));
  }
  return { bytes, headers, gzip };
}

/** Whether a body of that many bytes is compressed. */
export function isCompressed(bytes: number, gzipAbove: number | null): boolean {
  return gzipAbove !== null && bytes > gzipAbove;
}

/** HMAC-SHA256 of the bytes as sent, behind the time where one is given, keyed with the text of the secret key. */
export function signatureHeaders(bytes: Uint8Array, secretKey: string, unixS: number | null): Record<string, string> {
  const before = unixS === null ? "" : `${unixS}.`;
  const digest = createHmac("sha256", secretKey).update(before).update(bytes).digest("hex");
  const headers: Record<string, string> = { "X-Pecta-Signature": `sha256=${digest}` };
  if (unixS !== null) {
    headers["X-Repute-Timestamp"] = String(unixS);
  }
  return headers;
}
