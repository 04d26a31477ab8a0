// Words and times in the page's language.

import en from "../locale/island.en.json";
import fr from "../locale/island.fr.json";

export type TextKey = keyof typeof en;

const table: Record<string, Record<TextKey, string>> = { en, fr };

export function language(): string {
  const l = (document.documentElement.lang || navigator.language || "en").slice(0, 2).toLowerCase();
  return l in table ? l : "en";
}

/** The text of a key, with {name} replaced. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  const text = (table[language()] ?? en)[key];
  return text.replace(/\{(\w+)\}/g, (whole: string, name: string) => (name in values ? String(values[name]) : whole));
}

/** The text of a code from the server; the code itself where we have no words for it yet. */
export function coded(prefix: string, code: string): string {
  const key = `${prefix}.${code}`;
  return key in en ? t(key as TextKey) : code;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string, o: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language() + name;
  let f = formats.get(key);
  if (!f) {
    f = new Intl.DateTimeFormat(document.documentElement.lang || language(), { hourCycle: "h23", ...o });
    formats.set(key, f);
  }
  return f;
}

export const clock = (ms: number): string => format("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
export const hourMinute = (ms: number): string => format("hm", { hour: "2-digit", minute: "2-digit" }).format(ms);
export const dayMonth = (ms: number): string => format("dm", { weekday: "short", day: "numeric", month: "short" }).format(ms);
export const dateTime = (ms: number): string =>
  format("dt", { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
/** The hour in UTC alone, where it is shown beside the local one. */
export const utc = (ms: number): string => new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC";
export const zone = (ms: number): string => format("zone", { timeZoneName: "short" }).formatToParts(ms).find((p) => p.type === "timeZoneName")?.value ?? "";

/** A length of time in one or two units. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (a: number, ua: TextKey, b: number, ub: TextKey) => (b > 0 ? `${t(ua, { n: a })} ${t(ub, { n: b })}` : t(ua, { n: a }));
  if (s < 60) return t("unit.s", { n: s });
  if (s < 3600) return two(Math.floor(s / 60), "unit.min", s % 60, "unit.s");
  if (s < 86400) return two(Math.floor(s / 3600), "unit.h", Math.floor((s % 3600) / 60), "unit.min");
  return two(Math.floor(s / 86400), "unit.d", Math.floor((s % 86400) / 3600), "unit.h");
}
