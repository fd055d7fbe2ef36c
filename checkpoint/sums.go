package checkpoint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// sumsFile lists the SHA-256 of every other file of a checkpoint, in the form
// that sha256sum -c reads.
const sumsFile = "SHA256SUMS"

// ErrCorrupt: a checkpoint is not what was written: a file is missing, cut short
// or changed. It comes wrapped in a message that names the file.
var ErrCorrupt = errors.New("the checkpoint is damaged")

// writeSummed writes files to the empty folder dir with their checksums, and
// flushes each to the disk.
func writeSummed(dir string, files []content) error {
	var sums bytes.Buffer
	for _, f := range files {
		h := sha256.New()
		if err := writeSynced(filepath.Join(dir, f.name), h, f.write); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), f.name)
	}
	return writeSynced(filepath.Join(dir, sumsFile), sha256.New(), bytesFile(sumsFile, sums.Bytes()).write)
}

func writeSynced(path string, h hash.Hash, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return errors.Wrap(err, "checkpoint")
	}
	err = write(io.MultiWriter(f, h))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return errors.Wrapf(err, "checkpoint: %s", path)
}

// verify checks every file of a checkpoint against its checksum and returns
// their names.
func verify(dir string) (map[string]bool, error) {
	sums, err := os.Open(filepath.Join(dir, sumsFile))
	if err != nil {
		return nil, errors.Wrapf(ErrCorrupt, "checkpoint: %v", err)
	}
	defer sums.Close()
	names := map[string]bool{}
	lines := bufio.NewScanner(sums)
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || name != filepath.Base(name) {
			return nil, errors.Wrapf(ErrCorrupt, "checkpoint: %s: %s: line %q", dir, sumsFile, lines.Text())
		}
		if err := verifyFile(filepath.Join(dir, name), sum); err != nil {
			return nil, err
		}
		names[name] = true
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Wrapf(ErrCorrupt, "checkpoint: %s: %s: %v", dir, sumsFile, err)
	}
	for _, name := range []string{weightsFile, stateFile} {
		if !names[name] {
			return nil, errors.Wrapf(ErrCorrupt, "checkpoint: %s: %s does not list %s", dir, sumsFile, name)
		}
	}
	return names, nil
}

func verifyFile(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return errors.Wrapf(ErrCorrupt, "checkpoint: %v", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return errors.Wrapf(ErrCorrupt, "checkpoint: %s: %v", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return errors.Wrapf(ErrCorrupt, "checkpoint: %s: sha256 = %s, want %s", path, got, want)
	}
	return nil
}
