// One flow of the npm acme-client per run: node flows.mjs <flow> <directory URL> <home> <name> <http-01 port>.
// Account key, account URL, certificate and its key are kept in <home> between runs.
import acme from 'acme-client';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const [flow, directoryUrl, home, name, port] = process.argv.slice(2);
fs.mkdirSync(home, { recursive: true });
const file = (leaf) => path.join(home, leaf);

async function account() {
  if (!fs.existsSync(file('account.key'))) fs.writeFileSync(file('account.key'), await acme.crypto.createPrivateEcdsaKey());
  const client = new acme.Client({ directoryUrl, accountKey: fs.readFileSync(file('account.key')) });
  await client.createAccount({ termsOfServiceAgreed: true, contact: ['mailto:ops@node.test'] });
  return client;
}

async function issue() {
  const client = await account();
  const answers = new Map();
  const server = http.createServer((request, response) => {
    const body = answers.get(request.url);
    response.writeHead(body ? 200 : 404);
    response.end(body ?? '');
  });
  await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
  try {
    const [key, csr] = await acme.crypto.createCsr({ altNames: [name] });
    const chain = await client.auto({
      csr,
      challengePriority: ['http-01'],
      skipChallengeVerification: true,
      challengeCreateFn: async (authz, challenge, keyAuthorization) => {
        answers.set(`/.well-known/acme-challenge/${challenge.token}`, keyAuthorization);
      },
      challengeRemoveFn: async (authz, challenge) => {
        answers.delete(`/.well-known/acme-challenge/${challenge.token}`);
      },
    });
    const [leaf, ...rest] = acme.crypto.splitPemChain(chain);
    fs.writeFileSync(file('leaf.pem'), leaf);
    fs.writeFileSync(file('chain.pem'), rest.join('\n'));
    fs.writeFileSync(file('leaf.key'), key);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const leaf = () => fs.readFileSync(file('leaf.pem'), 'utf8');

const flows = {
  register: account,
  issue,
  'revoke-by-account': async () => (await account()).revokeCertificate(leaf(), { reason: 4 }),
  // A client without an account URL signs with the key itself: the certificate's own.
  'revoke-by-key': async () => {
    const client = new acme.Client({ directoryUrl, accountKey: fs.readFileSync(file('leaf.key')) });
    const url = await client.http.getResourceUrl('revokeCert');
    const certificate = acme.crypto.getPemBodyAsB64u(leaf());
    const answer = await client.http.signedRequest(url, { certificate, reason: 1 });
    if (answer.status !== 200) throw new Error(`revokeCert answered ${answer.status}: ${JSON.stringify(answer.data)}`);
  },
  'key-rollover': async () => {
    const client = await account();
    const next = await acme.crypto.createPrivateEcdsaKey();
    await client.updateAccountKey(next);
    fs.writeFileSync(file('account.key'), next);
  },
  deactivate: async () => {
    const client = await account();
    const updated = await client.updateAccount({ status: 'deactivated' });
    if (updated.status !== 'deactivated') throw new Error(`the account is ${updated.status}`);
  },
};

if (!flows[flow]) throw new Error(`no flow ${flow}`);
await flows[flow]();
