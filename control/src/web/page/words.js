// Figures as people read them: with a unit, a thin space before it, and no more digits than one takes in.

export const THIN = "\u202f";
/** What was not measured. */
export const NONE = "–";

/** `12 345`. */
export function count(number) {
  if (!Number.isFinite(number)) return NONE;
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** What somebody else wrote, in a sentence of ours: it does not turn the direction of the rest. */
export function straight(text) {
  return String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** No line ends between a number and its unit. */
export function unbroken(text) {
  return text.replace(/(\d) (?=%|(?:µs|ms|s|min|h|d)(?![a-z]))/g, `$1${THIN}`);
}

/** `3 links`. */
export function several(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** With an SI prefix: `12.3 Mbit/s`. */
export function scaled(number, unit) {
  if (!Number.isFinite(number)) return NONE;
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let step = 0;
  while (Math.abs(number) >= 999.5 && step < prefixes.length - 1) {
    number /= 1000;
    step += 1;
  }
  const digits = step > 0 && Math.abs(number) < 99.95 ? 1 : 0;
  return `${number.toFixed(digits)}${THIN}${prefixes[step]}${unit}`;
}

/** `3.1 %`. */
export function percent(ratio) {
  if (!Number.isFinite(ratio)) return NONE;
  const value = Math.max(0, ratio * 100);
  if (value > 0 && value < 0.01) return `<${THIN}0.01${THIN}%`;
  const digits = value === 0 || value >= 99.95 ? 0 : value < 1 ? 2 : 1;
  return `${value.toFixed(digits)}${THIN}%`;
}

/** Microseconds: `812 µs`, `1.4 ms`, `80 ms`, `2.1 s`. */
export function time(us) {
  if (!Number.isFinite(us)) return NONE;
  if (us < 1000) return `${Math.round(us)}${THIN}µs`;
  if (us < 999_500) return `${(us / 1000).toFixed(us < 9950 ? 1 : 0)}${THIN}ms`;
  return `${(us / 1e6).toFixed(1)}${THIN}s`;
}

/** From the least to the most: `19–34 ms`. */
export function spread(least_us, most_us) {
  const [least, most] = [time(least_us), time(most_us)];
  const [number, unit] = least.split(THIN);
  return most.endsWith(`${THIN}${unit}`) ? `${number}–${most}` : `${least}–${most}`;
}

/** The two largest units of a while: `3 d 4 h`. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return `0${THIN}s`;
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const number = Math.floor(rest / size);
    rest -= number * size;
    if (number > 0) parts.push(`${number}${THIN}${unit}`);
  }
  return parts.join(" ");
}

/** The time of day here, and the day unless it is today. */
export function clock(unix_ms, today = new Date()) {
  const at = new Date(unix_ms);
  if (Number.isNaN(at.getTime())) return NONE;
  const two = (number) => String(number).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  if (at.toDateString() === today.toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** Any figure, by the unit that its name ends with. */
export function figure(name, value) {
  if (typeof value !== "number") return String(value);
  if (name.endsWith("_us")) return time(value);
  if (name.endsWith("_unix_ms")) return clock(value);
  if (name.endsWith("_ms")) return time(value * 1000);
  if (name.endsWith("_bit_s")) return scaled(value, "bit/s");
  if (name.endsWith("_packet_s")) return scaled(value, "pkt/s");
  if (name.endsWith("_octets")) return `${count(value)}${THIN}B`;
  if (name.endsWith("_ratio")) return percent(value);
  if (name.endsWith("_s")) return span(value);
  return count(value);
}
