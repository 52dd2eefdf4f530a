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
  }

  first() {
    this.#page = 0;
  }

  #turn(step) {
    this.#page += step;
    this.#turned();
  }

  /** The rows on view. */
  cut(rows) {
    const last = Math.max(0, Math.ceil(rows.length / this.#size) - 1);
    this.#page = Math.min(Math.max(this.#page, 0), last);
    const from = this.#page * this.#size;
    const shown = rows.slice(from, from + this.#size);
    this.node.hidden = last === 0;
    this.#before.disabled = this.#page === 0;
    this.#next.disabled = this.#page === last;
    say(this.#where, `${count(from + 1)}–${count(from + shown.length)} of ${count(rows.length)}`);
    return shown;
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
