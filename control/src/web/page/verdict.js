// What the verdicts come to in words. They are made by the appliance; nothing is judged here a second time.

import { count, several, span, straight, unbroken } from "./words.js";

const RANKS = { good: 0, degraded: 1, bad: 2, down: 3 };
/** What a title can show of a verdict. */
export const SIGNS = { good: "✔", degraded: "▲", bad: "◆", down: "▼", unknown: "?" };
/** How many troubles are told by name. */
const TOLD = 5;

/** One that there is a colour and a symbol for. */
export function known(verdict) {
  return Object.hasOwn(RANKS, verdict) ? verdict : "unknown";
}

/** How bad: the larger the worse. What is unknown may be anything. */
export function rank(verdict) {
  return RANKS[verdict] ?? RANKS.degraded;
}

/** Whether a link carries, or would. */
export function isUp(link) {
  return link.state === "up" || link.state === "standby";
}

/** Why a verdict is what it is, and what somebody should see to. */
export function reasonsOf(thing) {
  const reasons = [...thing.reasons];
  const add = (known, text) => {
    if (!reasons.some((reason) => reason.includes(known))) reasons.push(text);
  };
  if (thing.alarm) add(thing.alarm.text, `${thing.alarm.text}, for ${span(thing.alarm.for_s)}`);
  if (thing.last_result && !isUp(thing)) add(thing.last_result, thing.last_result);
  return reasons;
}

/** Sets with different remotes may have one name. */
export function nameOfSet({ name, remote }) {
  return `Set ${straight(name)} with ${straight(remote)}`;
}

/** Of a site: `verdict`, `text`, the worst `troubles` and how many there are, and how many links have which verdict. */
export function judge(site) {
  const found = { worst: [], total: 0 };
  const links = { all: 0, good: 0, degraded: 0, bad: 0, down: 0, unknown: 0 };
  for (const set of site.sets) {
    const blamed = judgeLinks(set.links, set, links, found);
    if (rank(set.verdict) > 0 && (!blamed || lost(set))) add(found, ofSet(set));
  }
  judgeLinks(site.links, null, links, found);
  const [first] = found.worst;
  const verdict = known(site.verdict);
  const text = first?.text ?? calm(site, links.all, verdict);
  return { verdict, text, first: first ?? null, links, troubles: found.worst, total: found.total };
}

/** Of a site without a trouble that one could name. */
function calm({ name, sets, verdict: word }, links, verdict) {
  const parts = [[sets.length, "set"], [links, "link"]].filter(([number]) => number > 0);
  const what = parts.map(([number, noun]) => several(number, noun)).join(", ") || "no set and no link";
  return verdict === "good" ? `All well: ${what}` : `${straight(name)} is ${word}: ${what}`;
}

/** Whether a set loses packets: worse than anything that one of its links does. */
function lost(set) {
  return rank(set.verdict) >= RANKS.bad;
}

/** Whether any link is not well. */
function judgeLinks(links, set, counts, found) {
  let blamed = false;
  for (const link of links) {
    counts.all += 1;
    counts[known(link.verdict)] += 1;
    if (rank(link.verdict) === 0) continue;
    blamed = true;
    add(found, ofLink(link, set));
  }
  return blamed;
}

function ofSet(set) {
  return {
    weight: lost(set) ? 10 + rank(set.verdict) : rank(set.verdict),
    verdict: known(set.verdict),
    graph: set.graph,
    name: `set ${straight(set.name)}`,
    tell: () => `${nameOfSet(set)} is ${set.verdict}${because(set.verdict, reasonsOf(set), set.protection)}`,
  };
}

function ofLink(link, set) {
  return {
    weight: rank(link.verdict) + 0.5,
    verdict: known(link.verdict),
    graph: link.graph,
    name: straight(link.graph),
    tell: () => `${straight(link.graph)} is ${link.verdict}${because(link.verdict, reasonsOf(link), link.state)}${consequence(set)}`,
  };
}

/** After "isp1 is down" neither "is down" nor "is dialling" reads well, but "dialling" does. */
function because(verdict, reasons, otherwise) {
  const why = (reasons.length > 0 ? reasons : [otherwise]).map((reason) => reason.replace(/^is /, ""));
  const told = why.filter((reason) => reason !== verdict).join("; ");
  return told ? `: ${straight(unbroken(told))}` : "";
}

/** What it means to the set that one of its links is not well. */
function consequence(set) {
  if (!set || lost(set)) return "";
  if (set.protection !== "ha") return `, set ${straight(set.name)} has ${set.protection}`;
  return `, set ${straight(set.name)} is still whole`;
}

/** Keeps the worst few, the first of equals first; only they are put into words. */
function add(found, trouble) {
  found.total += 1;
  const { worst } = found;
  if (worst.length === TOLD && worst[TOLD - 1].weight >= trouble.weight) return;
  const at = worst.findIndex((other) => other.weight < trouble.weight);
  trouble.text = trouble.tell();
  worst.splice(at < 0 ? worst.length : at, 0, trouble);
  worst.length = Math.min(worst.length, TOLD);
}

/** How many troubles there are beside those told. */
export function untold(judged) {
  const more = judged.total - judged.troubles.length;
  return more > 0 ? `and ${count(more)} more` : "";
}
