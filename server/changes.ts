// Tells all who wait that something changed. It does not say what: they look again.

export class Changes {
  #resolve = () => {};
  #next = this.#renew();

  /** Take this before looking, wait for it after: then no change falls in between. */
  get next(): Promise<void> {
    return this.#next;
  }

  notify(): void {
    const resolve = this.#resolve;
    this.#next = this.#renew();
    resolve();
  }

  #renew(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}
