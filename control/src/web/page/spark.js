// The last two minutes of a link, small: bars are loss, the line is latency, grey is off-line.

import { draw, mark } from "./dom.js";
import { KEPT, OFFLINE } from "./past.js";

const HEIGHT = 30;
/** A full bar, unless more was lost. */
const FULL_LOSS = 0.05;
/** What was lost is seen, be it ever so little. */
const LEAST_BAR = 3;
/** Above the slowest link. */
const HEADROOM = 1.2;

export class Spark {
  #offline = draw("path", { class: "offline" });
  #loss = draw("path", { class: "loss" });
  #latency = draw("path", { class: "latency" });

  node = draw(
    "svg",
    { class: "spark", viewBox: `0 0 ${KEPT} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    this.#offline,
    this.#loss,
    this.#latency,
  );

  /** `scale` is the same for all links that are to be compared. */
  update({ ring, slot }, scale) {
    if (!ring) return;
    let offline = "";
    let loss = "";
    let latency = "";
    let pen = "M";
    for (let x = 0; x < KEPT; x += 1) {
      const at = (slot + 1 + x) % KEPT;
      const lost = ring.loss[at];
      if (lost === OFFLINE) {
        offline += `M${x} 0h1v${HEIGHT}h-1z`;
      } else if (lost > 0) {
        const high = Math.max(LEAST_BAR, (lost / scale.loss) * HEIGHT);
        loss += `M${x} ${HEIGHT}v${-high.toFixed(1)}h1v${high.toFixed(1)}z`;
      }
      const waited = ring.latency[at];
      if (Number.isNaN(waited)) {
        pen = "M";
      } else {
        const y = HEIGHT - 1 - (waited / scale.latency) * (HEIGHT - 3);
        // A lone point is seen as well.
        latency += `${pen}${x} ${y.toFixed(1)}h1`;
        pen = "L";
      }
    }
    mark(this.#offline, "d", offline);
    mark(this.#loss, "d", loss);
    mark(this.#latency, "d", latency);
  }
}

/** The scale on which all of `pasts` fit. */
export function scaleOf(pasts) {
  const scale = { loss: FULL_LOSS, latency: 1 };
  for (const { ring } of pasts) {
    if (!ring) continue;
    for (let at = 0; at < KEPT; at += 1) {
      // Comparing with NaN is false.
      if (ring.loss[at] > scale.loss) scale.loss = ring.loss[at];
      if (ring.latency[at] > scale.latency) scale.latency = ring.latency[at];
    }
  }
  scale.latency *= HEADROOM;
  return scale;
}
