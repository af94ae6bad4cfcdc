/** `secrets`: the output shows a key or token of a well-known shape that is no placeholder. */

import type { Gate } from "../gate.js";
import { findIn } from "./find.js";

/** What it takes. */
export interface SecretsOptions {
  name?: string | undefined;
}

/** Looks at every text of the output. Not in the public API's set. */
export function secrets({ name = "secrets" }: SecretsOptions = {}): Gate {
  return { name, run: ({ output }) => findIn(output, [{ isIn: secretIn, name: "secret" }]) };
}

interface Shape {
  readonly name: string;
  readonly pattern: RegExp;
  /**
   * `checksum`: the last six characters are a checksum of the thirty before them. `random part`: that alone tells a
   * placeholder, what stands before it is somebody's comment.
   */
  readonly check?: "checksum" | "random part";
  /** What follows any number of characters of a token: too many for a regular expression, which remembers each of them. */
  readonly end?: RegExp;
}

const SHAPES: readonly Shape[] = [
  // Five hyphens and a word begin or end a block; what stands between them is of one key.
  {
    name: "private key",
    pattern: /-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-]|-{5,80}[^-BE]){0,200}?[A-Za-z0-9+\/]{40}/g,
    check: "random part",
  },
  { name: "AWS access key", pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g },
  { name: "AWS secret key", pattern: /(?:secret_?access_?key|aws_?secret_?key)["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9+\/]{39}(?:[A-Za-z0-9]\b|[+\/])/gi },
  { name: "GitHub token", pattern: /\bgh[pousr]_[A-Za-z0-9]{36}\b/g, check: "checksum" },
  { name: "GitHub token", pattern: /\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b/g },
  { name: "GitLab token", pattern: /\bglpat-[A-Za-z0-9_-]{19}(?:[A-Za-z0-9_]\b|-)/g },
  { name: "GitLab token", pattern: /\bglpat-[A-Za-z0-9_-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}\b/g },
  { name: "Slack token", pattern: /\bxox[abprs]-[0-9]{10,13}-[A-Za-z0-9-]{16,80}/g },
  { name: "Slack webhook", pattern: /\bhttps:\/\/hooks\.slack\.com\/services\/T[A-Z0-9]{8,12}\/B[A-Z0-9]{8,12}\/[A-Za-z0-9]{24}\b/g },
  { name: "live secret key", pattern: /\b[rs]k_live_[A-Za-z0-9]{24,99}\b/g },
  { name: "Google API key", pattern: /\bAIza[A-Za-z0-9_-]{34}(?:[A-Za-z0-9_]\b|-)/g },
  { name: "Google OAuth secret", pattern: /\bGOCSPX-[A-Za-z0-9_-]{27}(?:[A-Za-z0-9_]\b|-)/g },
  { name: "OpenAI key", pattern: /\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}/g },
  { name: "Anthropic key", pattern: /\bsk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{93}AA\b/g },
  { name: "SendGrid key", pattern: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b/g },
  { name: "Twilio key", pattern: /\bSK[0-9a-f]{32}\b/g },
  { name: "npm token", pattern: /\bnpm_[A-Za-z0-9]{36}\b/g, check: "checksum" },
  { name: "PyPI token", pattern: /\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,200}/g },
  { name: "Hugging Face token", pattern: /\bhf_[A-Za-z0-9]{34}\b/g },
  { name: "JSON web token", pattern: /\beyJ[A-Za-z0-9_-]{10,400}\.eyJ[A-Za-z0-9_-]{10}/g, end: /\.[A-Za-z0-9_-]{20,700}/y },
  { name: "Azure storage key", pattern: /\bAccountKey=[A-Za-z0-9+\/]{86}==/g },
];

/** How many of the last characters of a match are its random part. */
const RANDOM_PART = 40;
/** Less, in bits a character, is a word or a row of the same character. */
const MIN_ENTROPY_BITS = 2.6;
/** What documentation writes into its examples. */
const PLACEHOLDER = /EXAMPLE|XXXXXX|xxxxxx/;

/** What kind of secret a text has; false if none. */
function secretIn(text: string): string | false {
  const shape = SHAPES.find((shape) => matchesOf(shape, text).some((found) => isSecret(found, shape.check)));
  return shape?.name ?? false;
}

function matchesOf({ pattern, end }: Shape, text: string): string[] {
  return [...text.matchAll(pattern)].flatMap(({ 0: found, index }) => {
    if (end === undefined) {
      return [found];
    }
    end.lastIndex = tokenEnd(text, index + found.length);
    const last = end.exec(text);
    return last === null ? [] : [text.slice(index, last.index + last[0].length)];
  });
}

/** Where the characters of a token that begin there end. */
function tokenEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && isOfToken(text.charCodeAt(at))) {
    at += 1;
  }
  return at;
}

/** A letter, a digit, `_` or `-`. */
function isOfToken(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95 || code === 45;
}

function isSecret(found: string, check: Shape["check"]): boolean {
  const random = found.slice(-RANDOM_PART);
  const own = check === "random part" ? random : found;
  return entropyBits(random) >= MIN_ENTROPY_BITS && !PLACEHOLDER.test(own) && (check !== "checksum" || hasChecksum(found));
}

/** Shannon's entropy of a text, in bits a character. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) {
    counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0);
}

const BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Whether the last six characters are the CRC-32 of the 30 before them, in base 62. */
function hasChecksum(token: string): boolean {
  const told = [...token.slice(-6)].reduce((sum, character) => sum * 62 + BASE_62.indexOf(character), 0);
  return told === crc32(token.slice(-36, -6));
}

/** CRC-32 of an ASCII text; the platform has one only since Node 20.15. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) {
    crc ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit += 1) {
      crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}
