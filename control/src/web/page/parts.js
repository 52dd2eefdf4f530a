// What several views are made of.

import { draw, make, mark, say } from "./dom.js";
import { known } from "./verdict.js";
import { count } from "./words.js";

/** The address in this page of a link's or set's detail. */
export function detailOf(graph) {
  return `#/graph/${encodeURIComponent(graph)}`;
}

/** Colour, symbol and word. */
export class Chip {
  #use = draw("use");
  #word = make("span");
  node = make("span", "chip", draw("svg", { class: "symbol", "aria-hidden": "true" }, this.#use), this.#word);

  update(verdict, word = verdict) {
    const shown = known(verdict);
    mark(this.node, "class", `chip ${shown}`);
    mark(this.#use, "href", `#symbol-${shown}`);
    say(this.#word, word);
  }
}

/** Which page of many rows is on view. */
export class Pager {
  #size;
  #turned;
  #page = 0;
  #before = make("button", "", "‹ Before");
  #next = make("button", "", "Next ›");
  #where = make("span", "quiet");
  node = make("div", "pager", this.#before, this.#where, this.#next);

  constructor(size, turned) {
    this.#size = size;
    this.#turned = turned;
    for (const [button, step] of [[this.#before, -1], [this.#next, 1]]) {
      button.type = "button";
      button.addEventListener("click", () => this.#turn(step));
    }
    this.node.hidden = true;
  }

  first() {
    this.#page = 0;
  }

  #turn(step) {
    this.#page += step;
    this.#turned();
  }

  /** The rows on view, of groups of rows; a group is on one page unless it is larger than a page. */
  cut(groups) {
    const starts = [0];
    let total = 0;
    for (const { length } of groups) {
      const room = starts.at(-1) + this.#size - total;
      if (length > room && length <= this.#size) starts.push(total);
      total += length;
      while (total - starts.at(-1) > this.#size) starts.push(starts.at(-1) + this.#size);
    }
    const last = starts.length - 1;
    this.#page = Math.min(Math.max(this.#page, 0), last);
    const [from, to] = [starts[this.#page], starts[this.#page + 1] ?? total];
    this.node.hidden = last === 0;
    this.#before.disabled = this.#page === 0;
    this.#next.disabled = this.#page === last;
    say(this.#where, `${count(from + 1)}–${count(to)} of ${count(total)}`);
    return groups.flat().slice(from, to);
  }
}

/** A field to type into what is looked for. */
export function findBox(label, changed) {
  const input = make("input", "find");
  input.type = "search";
  input.placeholder = label;
  input.setAttribute("aria-label", label);
  input.autocomplete = "off";
  input.spellcheck = false;
  input.addEventListener("input", changed);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || input.value === "") return;
    event.stopPropagation();
    input.value = "";
    changed();
  });
  return input;
}

/** Asks the interface, whose refusals say why. */
export async function ask(path, signal) {
  const answer = await fetch(path, { cache: "no-store", signal });
  if (answer.ok) return answer;
  const refusal = await answer.json().catch(() => null);
  throw new Error(refusal?.error ?? `HTTP ${answer.status}`);
}

/** Why an answer did not come, for people. */
export function whyNot(error) {
  return error instanceof TypeError ? "the appliance does not answer" : error.message;
}
