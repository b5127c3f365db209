// A button that shows a drawing, and says in words what it does.
import { Icon, type IconName } from './icon.tsx';

interface IconButtonProps {
  readonly name: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly size?: 'small';
  /** Whether what it opens is open. */
  readonly isOpen?: boolean;
}

export function IconButton({ name, label, onClick, size, isOpen }: IconButtonProps) {
  return (
    <button
      type="button"
      class={size === undefined ? 'icon-button' : `icon-button ${size}`}
      aria-label={label}
      title={label}
      aria-expanded={isOpen}
      onClick={onClick}
    >
      <Icon name={name} />
    </button>
  );
}
