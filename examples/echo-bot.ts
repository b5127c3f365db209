// A bot that answers everything it is told in a direct conversation with the same words.
//   BOT_PASSWORD=… node examples/echo-bot.ts [http://127.0.0.1:3000]
import { Session } from '../src/client/http.ts';
import { connect } from '../src/client/index.ts';
import { fileOutbox } from '../src/client/outbox-file.ts';

const [url = 'http://127.0.0.1:3000'] = process.argv.slice(2);
const password = process.env.BOT_PASSWORD ?? '';
const session = new Session({ url });
await session.register({ username: 'echo', email: 'echo@bot.invalid', password }).catch((error) => {
  if (error.code !== 'conflict') throw error;
  return session.signIn('echo', password);
});
// Answers that were not sent when it was stopped are sent when it starts again, each once.
const chat = connect({ url: session.socketUrl, token: session.token, outbox: fileOutbox('echo-bot.outbox') });
process.once('SIGINT', () => chat.close());

for await (const event of chat) {
  if (event.type === 'state') process.stdout.write(`${event.state} ${event.reason ?? ''}\n`);
  if (event.type !== 'message' || event.message.from === chat.me?.id) continue;
  const { conversation, message } = event;
  if (conversation.kind === 'direct' && !message.deleted) conversation.send(message.text, { reply: message.seq });
  conversation.markRead();
}
