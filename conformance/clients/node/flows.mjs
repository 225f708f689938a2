// One flow of the npm acme-client per run: node flows.mjs FLOW, with the settings of common.py: ProgramClient.
import acme from 'acme-client';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const {
  ACME_DIRECTORY: directoryUrl, ACME_HOME: home, ACME_ROOT: root, ACME_NAMES: names = '', ACME_CHALLENGE: wanted,
  ACME_TOKENS: tokens, ACME_ALPN: alpn, ACME_DNS_CONTROL: dnsControl,
} = process.env;
const file = (leaf) => path.join(home, leaf);
acme.axios.defaults.httpsAgent = new (await import('node:https')).Agent({ ca: fs.readFileSync(root) });

async function account() {
  if (!fs.existsSync(file('account.key'))) fs.writeFileSync(file('account.key'), await acme.crypto.createPrivateEcdsaKey());
  const client = new acme.Client({ directoryUrl, accountKey: fs.readFileSync(file('account.key')) });
  await client.createAccount({ termsOfServiceAgreed: true, contact: ['mailto:ops@node.test'] });
  return client;
}

async function txt(verb, name, text) {
  const [host, port] = dnsControl.split(':');
  const socket = net.connect(Number(port), host);
  socket.end(`${JSON.stringify({ [verb]: { name: `_acme-challenge.${name}`, type: 'TXT', data: [text] } })}\n`);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  if (answer.trim() !== 'ok') throw new Error(`the DNS responder says: ${answer}`);
}

// The answer to a challenge and its removal.
async function answer(authz, challenge, keyAuthorization) {
  const name = authz.identifier.value;
  if (challenge.type === 'dns-01') {
    await txt('add', name, keyAuthorization);
    return () => txt('remove', name, keyAuthorization);
  }
  if (challenge.type === 'tls-alpn-01') {
    const [key, certificate] = await acme.crypto.createAlpnCertificate(authz, keyAuthorization, await acme.crypto.createPrivateEcdsaKey());
    fs.writeFileSync(path.join(alpn, `${name}.key.pem`), key);
    fs.writeFileSync(path.join(alpn, `${name}.crt.pem`), certificate);
    return () => fs.unlinkSync(path.join(alpn, `${name}.crt.pem`));
  }
  fs.writeFileSync(path.join(tokens, challenge.token), keyAuthorization);
  return () => fs.unlinkSync(path.join(tokens, challenge.token));
}

// client.auto() knows DNS names only, so that the steps are taken one by one.
async function issue() {
  const client = await account();
  const wantedNames = names.split(',');
  const [key, csr] = await acme.crypto.createCsr({ altNames: wantedNames });
  const identifiers = wantedNames.map((value) => ({ type: net.isIP(value) ? 'ip' : 'dns', value }));
  const order = await client.createOrder({ identifiers });
  for (const authz of await client.getAuthorizations(order)) {
    const challenge = authz.challenges.find(({ type }) => type === wanted);
    if (!challenge) throw new Error(`no ${wanted} for ${authz.identifier.value}`);
    if (authz.status === 'valid') continue;
    const remove = await answer(authz, challenge, await client.getChallengeKeyAuthorization(challenge));
    try {
      await client.completeChallenge(challenge);
      await client.waitForValidStatus(challenge);
    } finally {
      await remove();
    }
  }
  const finalized = await client.finalizeOrder(order, csr);
  fs.writeFileSync(file('chain.pem'), await client.getCertificate(finalized));
  fs.writeFileSync(file('leaf.key'), key);
}

const leaf = () => acme.crypto.splitPemChain(fs.readFileSync(file('chain.pem'), 'utf8'))[0];

const flows = {
  register: account,
  issue,
  'revoke-by-account': async () => (await account()).revokeCertificate(leaf(), { reason: 4 }),
  // A client without an account URL signs with the key itself: the certificate's own.
  'revoke-by-key': async () => {
    const client = new acme.Client({ directoryUrl, accountKey: fs.readFileSync(file('leaf.key')) });
    const url = await client.http.getResourceUrl('revokeCert');
    const certificate = acme.crypto.getPemBodyAsB64u(leaf());
    const answered = await client.http.signedRequest(url, { certificate, reason: 1 });
    if (answered.status !== 200) throw new Error(`revokeCert answered ${answered.status}: ${JSON.stringify(answered.data)}`);
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

const [flow] = process.argv.slice(2);
if (!flows[flow]) throw new Error(`no flow ${flow}`);
await flows[flow]();
