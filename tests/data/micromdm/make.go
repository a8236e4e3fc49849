// How micromdm.db was made: MicroMDM's buckets, written by its own library, with secrets that are none.
// Tests put others of the same length in their place.
//
//	GO111MODULE=off go run make.go    # with github.com/boltdb/bolt 1.3.1
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/boltdb/bolt"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	os.Remove("micromdm.db")
	db, err := bolt.Open("micromdm.db", 0600, nil)
	must(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1745), Subject: pkix.Name{CommonName: "micromdm-dep-token", Organization: []string{"micromdm"}}, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(err)
	ck := "CK_" + strings.Repeat("0c", 48)
	json := fmt.Sprintf(`{"consumer_key":"%s","consumer_secret":"CS_%s","access_token":"AT_O1234567890O%sO1767225600000","access_secret":"AS_%s","access_token_expiry":"2027-01-01T00:00:00Z"}`, ck, strings.Repeat("1c", 20), strings.Repeat("2a", 20), strings.Repeat("3a", 20))
	must(db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("mdm.DEPToken"))
		must(err)
		must(b.Put([]byte("key"), x509.MarshalPKCS1PrivateKey(key)))
		must(b.Put([]byte("certificate"), cert))
		c, err := tx.CreateBucketIfNotExists([]byte("mdm.DEPConfig"))
		must(err)
		must(c.Put([]byte("configuration"), []byte(`{"cursor":{"value":"MDowOjE","created_at":"2026-01-02T00:00:00Z"}}`)))
		d, err := tx.CreateBucketIfNotExists([]byte("mdm.Devices"))
		must(err)
		for i := 0; i < 110; i++ {
			must(d.Put([]byte(fmt.Sprintf("device-%04d", i)), []byte(fmt.Sprintf("serial C02%05d and more of a device", i))))
		}
		// A value larger than a page.
		return d.Put([]byte("large"), []byte(strings.Repeat("large value ", 350)))
	}))
	must(db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("mdm.DEPToken"))
		return b.Put([]byte(ck), []byte(json))
	}))
	must(db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("mdm.Devices"))
		for i := 0; i < 20; i++ {
			must(b.Delete([]byte(fmt.Sprintf("device-%04d", i*2))))
		}
		return nil
	}))
	must(db.Close())
}
