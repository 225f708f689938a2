// A CA behind the EST server of github.com/globalsign/est, for `make backends`. The protocol is that library's: routes, content
// types, PKCS#7, authentication. What is here is a CA that does what the first label of a request's first DNS name says:
//
//	manual…   202 until STATE/NAME.approved or STATE/NAME.denied is there; STATE/NAME.pending shows that somebody waits
//	refuse…   403
//	busy…     503 with Retry-After while STATE/busy is there
//	drop…     a certificate without the last of the names
//
// and issues for any other. STATE/issued has a line with the serial of each certificate.
package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/globalsign/est"
)

// An answer other than 200, as the library takes it.
type outcome struct {
	status, retryAfter int
	words              string
}

func (o outcome) Error() string   { return o.words }
func (o outcome) StatusCode() int { return o.status }
func (o outcome) RetryAfter() int { return o.retryAfter }

var notHere = outcome{http.StatusNotImplemented, 0, "this CA enrols and does nothing else"}

type authority struct {
	chain []*x509.Certificate // issuing CA, then root
	key   crypto.Signer
	state string
}

func (a *authority) CACerts(context.Context, string, *http.Request) ([]*x509.Certificate, error) {
	return a.chain, nil
}

func (a *authority) CSRAttrs(context.Context, string, *http.Request) (est.CSRAttrs, error) {
	return est.CSRAttrs{}, nil
}

func (a *authority) has(name string) bool {
	_, err := os.Stat(filepath.Join(a.state, name))
	return err == nil
}

func (a *authority) write(name, text string) error {
	file, err := os.OpenFile(filepath.Join(a.state, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}

// Why there is no certificate yet, or none at all.
func (a *authority) objection(name string) error {
	switch {
	case strings.HasPrefix(name, "refuse"):
		return outcome{http.StatusForbidden, 0, "policy 17: " + name + " is not ours"}
	case strings.HasPrefix(name, "busy") && a.has("busy"):
		return outcome{http.StatusServiceUnavailable, 1, "maintenance"}
	case strings.HasPrefix(name, "manual"):
		if a.has(name + ".denied") {
			return outcome{http.StatusForbidden, 0, "denied by the CA's operator"}
		}
		if !a.has(name + ".approved") {
			if err := a.write(name+".pending", ""); err != nil {
				return err
			}
			return outcome{http.StatusAccepted, 1, "waits for approval"}
		}
	}
	return nil
}

func (a *authority) Enroll(_ context.Context, csr *x509.CertificateRequest, _ string, _ *http.Request) (*x509.Certificate, error) {
	if len(csr.DNSNames) == 0 {
		return nil, outcome{http.StatusBadRequest, 0, "the request has no DNS name"}
	}
	name := csr.DNSNames[0]
	if err := a.objection(name); err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	names := csr.DNSNames
	if strings.HasPrefix(name, "drop") {
		names = names[:len(names)-1]
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, RawSubject: csr.RawSubject, DNSNames: names, IPAddresses: csr.IPAddresses,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(0, 0, 30), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.chain[0], csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	if err := a.write("issued", fmt.Sprintf("%x\n", serial)); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (a *authority) Reenroll(context.Context, *x509.Certificate, *x509.CertificateRequest, string, *http.Request) (*x509.Certificate, error) {
	return nil, notHere
}

func (a *authority) ServerKeyGen(context.Context, *x509.CertificateRequest, string, *http.Request) (*x509.Certificate, []byte, error) {
	return nil, nil, notHere
}

func (a *authority) TPMEnroll(context.Context, *x509.CertificateRequest, []*x509.Certificate, []byte, []byte, string, *http.Request) ([]byte, []byte, []byte, error) {
	return nil, nil, nil, notHere
}

func certificates(path string) []*x509.Certificate {
	rest, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var all []*x509.Certificate
	for block := (*pem.Block)(nil); len(rest) > 0; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			log.Fatal(path, ": ", err)
		}
		all = append(all, certificate)
	}
	return all
}

func main() {
	folder := flag.String("ca", "", "folder with issuer.pem (issuing CA, then root), issuer.key, server.pem, server.key and root.pem")
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	state := flag.String("state", "", "folder of what waits and what was decided")
	user := flag.String("user", "gateway", "who may enrol, beside holders of a certificate under root.pem")
	flag.Parse()
	in := func(name string) string { return filepath.Join(*folder, name) }

	issuer, err := tls.LoadX509KeyPair(in("issuer.pem"), in("issuer.key"))
	if err != nil {
		log.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(in("server.pem"), in("server.key"))
	if err != nil {
		log.Fatal(err)
	}
	ca := &authority{certificates(in("issuer.pem")), issuer.PrivateKey.(crypto.Signer), *state}
	password := os.Getenv("EST_PASSWORD")
	allowed := func(_ context.Context, request *http.Request, _, name, given string) error {
		if len(request.TLS.VerifiedChains) > 0 || (name == *user && given == password) {
			return nil
		}
		return errors.New("authorization required")
	}
	router, err := est.NewRouter(&est.ServerConfig{CA: ca, CheckBasicAuth: allowed, Timeout: 30 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificates(in("root.pem"))[0])
	log.Fatal((&http.Server{Addr: *listen, Handler: router, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}}).ListenAndServeTLS("", ""))
}
