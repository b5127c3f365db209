// A view that is drawn again only when what it is given is something else: what makes long lists cheap.
import { Component, type ComponentType, createElement, type VNode } from 'preact';

export function memo<Props extends object>(view: ComponentType<Props>) {
  return class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      const names = Object.keys(next) as (keyof Props)[];
      return names.some((name) => next[name] !== this.props[name]);
    }

    override render(): VNode {
      return createElement(view as ComponentType<object>, this.props);
    }
  };
}
