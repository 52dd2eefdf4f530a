// News of the appliance: a stream of server-sent events, and questions when the stream is silent.

import { ask, whyNot } from "./parts.js";

/** A stream brings news each second. */
const SILENT_MS = 3500;
const POLL_MS = 2000;
const POLL_PATIENCE_MS = 10_000;
/** How long a stream may be silent before it is opened anew. */
const STREAM_PATIENCE_MS = 10_000;
const CHECK_MS = 500;

export class News {
  #heard;
  #heardStream;
  #opened = 0;
  #polled = 0;
  #polling = false;
  #site = null;
  #source = null;

  /** How the last question went wrong. */
  fault = "";

  /** `take.site(site)` and `take.event(event)` get what comes, `take.look()` is called twice a second. */
  constructor(take) {
    this.take = take;
    this.#heard = this.#heardStream = performance.now();
  }

  start() {
    this.#open();
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** How long ago there was news, seconds. */
  get silent_s() {
    return (performance.now() - this.#heard) / 1000;
  }

  /** `live`, `polling` without a stream, or `silent`. */
  get state() {
    const now = performance.now();
    if (now - this.#heardStream < SILENT_MS) return "live";
    return now - this.#heard < SILENT_MS + POLL_MS ? "polling" : "silent";
  }

  #open() {
    this.#source?.close();
    this.#opened = performance.now();
    this.#source = new EventSource("/api/v1/stream");
    this.#source.addEventListener("site", (message) => {
      if (this.#isFresh(message.data)) this.#heardStream = this.#heard;
      this.take.site(this.#site);
    });
    this.#source.addEventListener("event", (message) => this.take.event(JSON.parse(message.data)));
  }

  /** Whether what was told is news: an appliance whose monitor stands still says the same again. */
  #isFresh(text) {
    const before = this.#site?.number;
    this.#site = JSON.parse(text);
    const fresh = this.#site.number !== before;
    if (fresh) this.#heard = performance.now();
    this.fault = fresh ? "" : "it says the same again";
    return fresh;
  }

  #check() {
    const now = performance.now();
    const silent = now - this.#heardStream;
    if (silent > STREAM_PATIENCE_MS && now - this.#opened > STREAM_PATIENCE_MS) this.#open();
    if (silent > SILENT_MS && !this.#polling && now - this.#polled > POLL_MS) this.#poll();
    this.take.look();
  }

  async #poll() {
    this.#polling = true;
    this.#polled = performance.now();
    let text = null;
    try {
      const signal = AbortSignal.timeout(POLL_PATIENCE_MS);
      text = await (await ask("/api/v1/site", signal)).text();
    } catch (error) {
      this.fault = whyNot(error);
    } finally {
      this.#polling = false;
    }
    // By now the stream may know better. What goes wrong from here on is a fault of the page, not of the news.
    if (text === null || this.#heardStream > this.#polled) return;
    this.#isFresh(text);
    this.take.site(this.#site);
  }
}
