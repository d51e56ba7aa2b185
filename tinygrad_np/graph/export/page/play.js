// The tape, played: frame 0 has nothing computed, then comes one frame for each op, then the backward pass in reverse.

/** The frames of a picture, and when each value and each gradient appears. */
function framesOf({ nodes, edges }, graph) {
  const drawnBackward = nodes.some((node) => node.backward);
  const steps = nodes.filter((node) => node.step && !node.backward).sort((a, b) => a.last - b.last);
  const forward = steps.map((node) => ({ phase: "forward", node }));
  const back = drawnBackward
    ? nodes.filter((node) => node.step && node.backward).map((node) => ({ phase: "backward", node }))
    : graph.hasGradients ? backwardSteps(steps, edges) : [];
  const frames = [{ phase: "start", node: null }, ...forward, ...back];
  return { frames, forward: forward.length, ...moments(frames, nodes, edges, drawnBackward) };
}

/** Ops in reverse, without those that no gradient reaches. */
function backwardSteps(steps, edges) {
  const reached = new Set(edges.filter((edge) => edge.needsGrad).map((edge) => edge.target));
  return [...steps].reverse().filter((node) => reached.has(node)).map((node) => ({ phase: "backward", node }));
}

/** The frame in which each node is computed, in which its gradient is complete, and in which each arrow's gradient appears. */
function moments(frames, nodes, edges, drawnBackward) {
  const end = frames.length - 1;
  const computed = new Map(nodes.map((node) => [node.key, 0]));
  const reversed = new Map();
  frames.forEach(({ phase, node }, i) => {
    if (phase === "forward" || (phase === "backward" && drawnBackward)) computed.set(node.key, i);
    if (phase === "backward" && !drawnBackward) reversed.set(node.key, i);
  });
  // A value with several uses has its gradient once the first of them, the last in reverse, has been passed.
  const identity = (node) => (node.box ? `b${node.box.same ?? node.box.id}` : node.key);
  const complete = new Map();
  for (const edge of edges) {
    const at = reversed.get(edge.target.key) ?? 0;
    complete.set(identity(edge.source), Math.max(complete.get(identity(edge.source)) ?? 0, at));
  }
  const gradient = (node) => (drawnBackward ? end : complete.get(identity(node)) ?? reversed.get(node.key) ?? end);
  return {
    computed,
    gradNode: new Map(nodes.map((node) => [node.key, gradient(node)])),
    gradEdge: new Map(edges.map((edge) => {
      const own = drawnBackward ? end : reversed.get(edge.target.key) ?? end;
      return [edge.key, edge.total ? gradient(edge.source) : own];
    })),
  };
}

class Player {
  constructor({ slider, caption, toggle }, onStep) {
    Object.assign(this, { slider, caption, toggle, onStep, timer: null, frame: 0, frames: [{ phase: "start", node: null }] });
    slider.addEventListener("input", () => { this.pause(); this.go(Number(slider.value)); });
    toggle.addEventListener("click", () => this.playPause());
  }

  get last() { return this.frames.length - 1; }

  /** A new picture: stays at the end, or at the box it was at. */
  load(visible, graph, drawn) {
    const before = this.frames[this.frame];
    const atEnd = this.frame === this.last;
    Object.assign(this, framesOf(visible, graph), { drawn, graph, visible });
    const same = this.frames.findIndex(({ phase, node }) => phase === before.phase && node?.key === before.node?.key);
    const fallback = Math.min(this.frame, this.last);
    this.slider.max = this.last;
    this.slider.style.setProperty("--turn", `${this.last ? (100 * this.forward) / this.last : 100}%`);
    this.slider.classList.toggle("forward-only", this.last === this.forward);
    this.go(atEnd ? this.last : same >= 0 ? same : fallback, false);
  }

  go(frame, follow = true) {
    this.frame = Math.min(this.last, Math.max(0, frame));
    const { node } = this.frames[this.frame];
    this.slider.value = this.frame;
    this.#light();
    this.caption.textContent = this.words();
    this.slider.setAttribute("aria-valuetext", this.caption.textContent);
    if (follow) this.onStep(node);
  }

  playPause() {
    if (this.timer !== null) this.pause();
    else this.play();
  }

  play() {
    if (this.frame === this.last) this.go(0);
    const pace = Math.min(900, Math.max(60, 24000 / (this.last + 1)));
    this.timer = setInterval(() => {
      this.go(this.frame + 1);
      if (this.frame === this.last) this.pause();
    }, pace);
    this.#button("❚❚", "Pause");
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.#button("▶", "Play");
  }

  step(by) {
    this.pause();
    this.go(this.frame + by);
  }

  #button(sign, label) {
    this.toggle.textContent = sign;
    this.toggle.setAttribute("aria-label", label);
  }

  #light() {
    const { frame, last } = this;
    const end = frame === last;
    const now = end ? null : this.frames[frame].node;
    const backward = this.frames[frame].phase === "backward";
    for (const [key, element] of this.drawn.nodes) {
      element.classList.toggle("todo", this.computed.get(key) > frame);
      element.classList.toggle("no-grad", !end && this.gradNode.get(key) > frame);
      element.classList.toggle("now", now?.key === key);
      element.classList.toggle("now-backward", now?.key === key && backward);
    }
    for (const [key, { edge, line, label }] of this.drawn.edges) {
      const waits = Math.max(this.computed.get(edge.source.key), edge.cross ? this.computed.get(edge.target.key) : 0) > frame;
      const back = !end && backward && now === edge.target && edge.needsGrad;
      for (const element of [line, label]) {
        element?.classList.toggle("todo", waits);
        element?.classList.toggle("no-grad", !end && this.gradEdge.get(key) > frame);
        element?.classList.toggle("flowing-back", back);
        element?.classList.toggle("flowing", !end && !backward && now === edge.source);
      }
    }
  }

  /** The current step in words. */
  words() {
    const { frame, forward, last } = this;
    const { phase, node } = this.frames[frame];
    const missing = last === forward ? " · backward has not run, so there are no gradients" : "";
    if (phase === "start") return `start: nothing computed yet, ${counted(forward, "step")} forward${missing}`;
    if (phase === "forward") return `step ${frame} of ${forward} forward: ${whatIsComputed(node)}${frame === last ? missing : ""}`;
    return `backward ${frame - forward} of ${last - forward}: ${node.backward ? whatIsComputed(node) : whatComesBack(node)}`;
  }
}

function whatIsComputed(node) {
  if (node.group) return `${nameOf(node)} (${insideWords(node.group)})`;
  const { box } = node;
  if (node.kind === "result") return `the result ${box.name ?? ""}${box.value ? ` = ${box.value.text}` : ""}`;
  const formula = box.formula || box.text;
  return box.name && !formula.startsWith(`${box.name} =`) ? `${box.name} = ${formula}` : formula;
}

function whatComesBack(node) {
  if (node.group) return `back through ${nameOf(node)}`;
  if (node.kind === "result") return `the gradient of the result by itself${node.box.grad ? ` is ${node.box.grad.text}` : ""}`;
  return node.box.rules.length ? node.box.rules.join(",  ") : `back through ${nameOf(node)}`;
}
