// One flow of golang.org/x/crypto/acme per run: `flows FLOW`, with the settings of common.py: ProgramClient.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

const deadline = 100 * time.Second

func main() {
	flows := map[string]func(context.Context) error{
		"register":          register,
		"issue":             issue,
		"revoke-by-account": revokeByAccount,
		"revoke-by-key":     revokeByKey,
		"key-rollover":      keyRollover,
		"deactivate":        deactivate,
	}
	if len(os.Args) != 2 || flows[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: flows FLOW")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := flows[os.Args[1]](ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func file(leaf string) string { return filepath.Join(os.Getenv("ACME_HOME"), leaf) }

func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM", path)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, writeKey(path, key)
}

func clientWith(key crypto.Signer) *acme.Client {
	return &acme.Client{Key: key, DirectoryURL: os.Getenv("ACME_DIRECTORY"), UserAgent: "conformance"}
}

// account is the client of the account whose key is stored.
func account(ctx context.Context) (*acme.Client, error) {
	key, err := readKey(file("account.key"))
	if err != nil {
		return nil, err
	}
	client := clientWith(key)
	_, err = client.GetReg(ctx, "")
	return client, err
}

func register(ctx context.Context) error {
	key, err := newKey(file("account.key"))
	if err != nil {
		return err
	}
	_, err = clientWith(key).Register(ctx, &acme.Account{Contact: []string{"mailto:ops@go.test"}}, acme.AcceptTOS)
	return err
}

func identifiers(names []string) []acme.AuthzID {
	var all []acme.AuthzID
	for _, name := range names {
		if net.ParseIP(name) != nil {
			all = append(all, acme.IPIDs(name)...)
		} else {
			all = append(all, acme.DomainIDs(name)...)
		}
	}
	return all
}

func issue(ctx context.Context) error {
	client, err := account(ctx)
	if err != nil {
		return err
	}
	names := strings.Split(os.Getenv("ACME_NAMES"), ",")
	order, err := client.AuthorizeOrder(ctx, identifiers(names))
	if err != nil {
		return err
	}
	for _, url := range order.AuthzURLs {
		if err := prove(ctx, client, url); err != nil {
			return err
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return err
	}
	return finalize(ctx, client, order, names)
}

// prove answers one authorization's challenge and waits for the server's word.
func prove(ctx context.Context, client *acme.Client, url string) error {
	authorization, err := client.GetAuthorization(ctx, url)
	if err != nil || authorization.Status == acme.StatusValid {
		return err
	}
	for _, challenge := range authorization.Challenges {
		if challenge.Type != os.Getenv("ACME_CHALLENGE") {
			continue
		}
		remove, err := answer(client, authorization.Identifier.Value, challenge)
		if err != nil {
			return err
		}
		defer remove()
		if _, err := client.Accept(ctx, challenge); err != nil {
			return err
		}
		_, err = client.WaitAuthorization(ctx, url)
		return err
	}
	return fmt.Errorf("no %s for %s", os.Getenv("ACME_CHALLENGE"), authorization.Identifier.Value)
}

// answer puts the answer to a challenge where the server will look; the function that it returns takes it away.
func answer(client *acme.Client, name string, challenge *acme.Challenge) (func(), error) {
	switch challenge.Type {
	case "dns-01":
		record, err := client.DNS01ChallengeRecord(challenge.Token)
		if err != nil {
			return nil, err
		}
		return func() { _ = txt("remove", name, record) }, txt("add", name, record)
	case "tls-alpn-01":
		certificate, err := client.TLSALPN01ChallengeCert(challenge.Token, name)
		if err != nil {
			return nil, err
		}
		stem := filepath.Join(os.Getenv("ACME_ALPN"), name)
		if err := writeKey(stem+".key.pem", certificate.PrivateKey.(*ecdsa.PrivateKey)); err != nil {
			return nil, err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
		return func() { _ = os.Remove(stem + ".crt.pem") }, os.WriteFile(stem+".crt.pem", text, 0o600)
	default:
		response, err := client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(os.Getenv("ACME_TOKENS"), challenge.Token)
		return func() { _ = os.Remove(path) }, os.WriteFile(path, []byte(response), 0o600)
	}
}

func txt(verb, name, text string) error {
	connection, err := net.Dial("tcp", os.Getenv("ACME_DNS_CONTROL"))
	if err != nil {
		return err
	}
	defer connection.Close()
	command := map[string]any{verb: map[string]any{"name": "_acme-challenge." + name, "type": "TXT", "data": []string{text}}}
	if err := json.NewEncoder(connection).Encode(command); err != nil {
		return err
	}
	said, err := bufio.NewReader(connection).ReadString('\n')
	if err == nil && said != "ok\n" {
		err = fmt.Errorf("the DNS responder says: %s", said)
	}
	return err
}

func finalize(ctx context.Context, client *acme.Client, order *acme.Order, names []string) error {
	key, err := newKey(file("leaf.key"))
	if err != nil {
		return err
	}
	request := x509.CertificateRequest{}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			request.IPAddresses = append(request.IPAddresses, address)
		} else {
			request.DNSNames = append(request.DNSNames, name)
		}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &request, key)
	if err != nil {
		return err
	}
	chain, _, err := client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, der := range chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	return os.WriteFile(file("chain.pem"), text.Bytes(), 0o600)
}

func leaf() ([]byte, error) {
	text, err := os.ReadFile(file("chain.pem"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("chain.pem is no PEM")
	}
	return block.Bytes, nil
}

func revokeByAccount(ctx context.Context) error {
	client, err := account(ctx)
	if err != nil {
		return err
	}
	der, err := leaf()
	if err != nil {
		return err
	}
	return client.RevokeCert(ctx, nil, der, acme.CRLReasonSuperseded)
}

func revokeByKey(ctx context.Context) error {
	key, err := readKey(file("leaf.key"))
	if err != nil {
		return err
	}
	der, err := leaf()
	if err != nil {
		return err
	}
	// This client knows of no account: the key in its hands is the certificate's.
	return clientWith(key).RevokeCert(ctx, key, der, acme.CRLReasonKeyCompromise)
}

func keyRollover(ctx context.Context) error {
	client, err := account(ctx)
	if err != nil {
		return err
	}
	next, err := newKey(file("next.key"))
	if err != nil {
		return err
	}
	if err := client.AccountKeyRollover(ctx, next); err != nil {
		return err
	}
	return os.Rename(file("next.key"), file("account.key"))
}

func deactivate(ctx context.Context) error {
	client, err := account(ctx)
	if err != nil {
		return err
	}
	return client.DeactivateReg(ctx)
}
