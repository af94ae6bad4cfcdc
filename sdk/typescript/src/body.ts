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

/** The body for a JSON text. */
export async function bodyOf(json: string, gzipAbove: number | null, secretKey: string | null): Promise<Body> {
  const plain = Buffer.from(json);
  const gzip = isCompressed(plain.length, gzipAbove);
  const bytes = gzip ? await compress(plain) : plain;
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (gzip) {
    headers["Content-Encoding"] = "gzip";
  }
  if (secretKey !== null) {
    headers["X-Pecta-Signature"] = signature(bytes, secretKey);
  }
  return { bytes, headers, gzip };
}

/** Whether a body of that many bytes is compressed. */
export function isCompressed(bytes: number, gzipAbove: number | null): boolean {
  return gzipAbove !== null && bytes > gzipAbove;
}

/** HMAC-SHA256 of the bytes as sent, keyed with the text of the secret key. */
export function signature(bytes: Uint8Array, secretKey: string): string {
  return `sha256=${createHmac("sha256", secretKey).update(bytes).digest("hex")}`;
}
