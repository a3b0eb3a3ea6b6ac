// Checks a signed note and Merkle proofs with Go's own checksum-database code, which shares nothing with ours.
// Standard input is one JSON object; the exit code is 0 if all of it holds, 1 with the reason on stderr if not.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Vkey string // verifier key of the log
	Note []byte // the signed note
	Text string // what the note must say

	Size      int64 // the tree, its root, and a record in it
	Root      []byte
	Index     int64
	Record    []byte
	Inclusion [][]byte

	OldSize     int64 // a prefix of the tree
	OldRoot     []byte
	Consistency [][]byte
}

func hash(data []byte) (result tlog.Hash) {
	if len(data) != len(result) {
		fail(fmt.Errorf("hash of %d bytes", len(data)))
	}
	copy(result[:], data)
	return result
}

func hashes(list [][]byte) []tlog.Hash {
	result := []tlog.Hash{}
	for _, each := range list {
		result = append(result, hash(each))
	}
	return result
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var asked request
	fail(json.NewDecoder(os.Stdin).Decode(&asked))
	verifier, err := note.NewVerifier(asked.Vkey)
	fail(err)
	opened, err := note.Open(asked.Note, note.VerifierList(verifier))
	fail(err)
	if opened.Text != asked.Text {
		fail(fmt.Errorf("another text"))
	}
	root := hash(asked.Root)
	fail(tlog.CheckRecord(hashes(asked.Inclusion), asked.Size, root, asked.Index, tlog.RecordHash(asked.Record)))
	fail(tlog.CheckTree(hashes(asked.Consistency), asked.Size, root, asked.OldSize, hash(asked.OldRoot)))
}
