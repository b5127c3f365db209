// A defect of a view does not leave an empty page: it says so, and offers to begin anew. What was unsent is kept.
import { Component, type ComponentChildren } from 'preact';
import { Icon } from './icon.tsx';

export class Guard extends Component<{ readonly children: ComponentChildren }, { readonly isBroken: boolean }> {
  override state = { isBroken: false };

  static override getDerivedStateFromError() {
    return { isBroken: true };
  }

  override componentDidCatch(error: unknown): void {
    // Where whoever looks for defects finds it: the console, and tests.
    reportError(error);
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main class="empty">
        <Icon name="warning" />
        <h1>Something went wrong on this page</h1>
        <p>Your messages are safe on the server, and what you have not sent yet is kept here.</p>
        <div class="actions">
          <button type="button" class="button primary" onClick={() => location.reload()}>
            Load it again
          </button>
        </div>
      </main>
    );
  }
}
