/** Does a thing again after a while, but not while nobody looks. */

export class Refresh {
  #work;
  #timer = null;
  #dueAt = null;

  constructor(work) {
    this.#work = work;
    document.addEventListener("visibilitychange", () => this.#arm());
  }

  /** Once, in so many seconds; replaces what was planned before. */
  after(seconds) {
    this.#dueAt = performance.now() + seconds * 1000;
    this.#arm();
  }

  stop() {
    this.#dueAt = null;
    this.#arm();
  }

  #arm() {
    clearTimeout(this.#timer);
    if (this.#dueAt === null || document.hidden) return;
    this.#timer = setTimeout(() => {
      this.#dueAt = null;
      this.#work();
    }, Math.max(0, this.#dueAt - performance.now()));
  }
}
