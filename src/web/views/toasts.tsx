// The word on what has just happened, where it is seen and heard.
import { useCell } from '../store/cell.ts';
import { dismiss, toast } from '../store/toasts.ts';
import { IconButton } from './icon-button.tsx';

export function Toasts() {
  const shown = useCell(toast);
  return (
    <div class="toasts" role="status">
      {shown !== null && (
        <div class="toast">
          <span>{shown.text}</span>
          {shown.action !== undefined && (
            <button
              type="button"
              class="button small"
              onClick={() => {
                dismiss();
                shown.action?.act();
              }}
            >
              {shown.action.name}
            </button>
          )}
          <IconButton name="close" label="Dismiss" size="small" onClick={dismiss} />
        </div>
      )}
    </div>
  );
}
