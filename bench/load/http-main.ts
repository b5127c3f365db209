// The HTTP generator as a process of the bench. Ends with its parent.
import { endWithParent } from '../floor/announce.ts';
import { attackHttp, type HttpOrder } from './http.ts';

process.on('message', (order) => {
  void attackHttp(order as HttpOrder).then((answer) => process.send?.(answer));
});
endWithParent();
