package checkpoint

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/atomicfile"
)

const (
	latestFile = "latest"
	bestFile   = "best"
	tempPrefix = ".tmp-"
)

// ErrNone: a store holds no checkpoint that is whole.
var ErrNone = errors.New("no checkpoint")

// Store is a folder of checkpoints of one run: step-00000100 and so on, and a
// file "latest" with the name of the newest, and "best" with that of the best
// ([Snapshot.Best]), if there is one. One process at a time may write
// to it.
type Store struct {
	dir  string
	keep int
}

// NewStore opens the folder dir, or makes it. Save keeps the last keep
// checkpoints, at least 1, and the best. What a killed process left half-written is removed.
func NewStore(dir string, keep int) (*Store, error) {
	if keep < 1 {
		return nil, errors.Errorf("checkpoint: keep = %d, want at least 1", keep)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	s := &Store{dir: dir, keep: keep}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) || strings.HasPrefix(e.Name(), "."+latestFile+tempPrefix) || strings.HasPrefix(e.Name(), "."+bestFile+tempPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, errors.Wrap(err, "checkpoint")
			}
		}
	}
	return s, nil
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// entry is a checkpoint's folder.
type entry struct {
	name       string
	step, turn int // turn: 0, or from 2 on if a step was saved again
}

var entryName = regexp.MustCompile(`^step-(\d{8,18})(?:\.(\d{1,9}))?$`)

func parseEntry(name string) (entry, bool) {
	m := entryName.FindStringSubmatch(name)
	if m == nil {
		return entry{}, false
	}
	step, _ := strconv.Atoi(m[1]) // digits by the pattern
	turn, _ := strconv.Atoi(m[2]) // "" gives 0
	return entry{name, step, turn}, true
}

// entries lists the checkpoints, newest first, whole or not.
func (s *Store) entries() ([]entry, error) {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	var out []entry
	for _, d := range dirs {
		if e, ok := parseEntry(d.Name()); ok && d.IsDir() {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.step, a.step), cmp.Compare(b.turn, a.turn))
	})
	return out, nil
}

// Save writes a checkpoint and makes it the latest, then removes those that are
// too many. It returns the checkpoint's folder. All is written and flushed
// under a temporary name, which is renamed at the end: if Save fails, or the
// process is killed in it, what was there before stays as it was.
func (s *Store) Save(snap Snapshot) (string, error) {
	files, err := snap.contents()
	if err != nil {
		return "", err
	}
	entries, err := s.entries()
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(s.dir, tempPrefix)
	if err != nil {
		return "", errors.Wrap(err, "checkpoint")
	}
	defer os.RemoveAll(tmp) // nothing is there any more after the rename
	if err := writeSummed(tmp, files); err != nil {
		return "", err
	}
	name := nameFor(snap.Step, entries)
	final := filepath.Join(s.dir, name)
	if err := install(tmp, final); err != nil {
		return "", errors.Wrap(err, "checkpoint")
	}
	pointers := []string{latestFile}
	if snap.Best { // first: a run that goes on from its latest must not miss it
		pointers = []string{bestFile, latestFile}
	}
	for _, p := range pointers {
		if err := atomicfile.Write(filepath.Join(s.dir, p), []byte(name+"\n")); err != nil {
			return "", errors.Wrap(err, "checkpoint")
		}
	}
	return final, s.prune(snap.Step, entries)
}

// nameFor is a name that is not taken: a step that is saved again, after a
// resume, must not disturb what is there.
func nameFor(step int, entries []entry) string {
	turn := 0
	for _, e := range entries {
		if e.step == step {
			turn = max(2, e.turn+1)
			break // the newest of that step comes first
		}
	}
	name := fmt.Sprintf("step-%08d", step)
	if turn > 0 {
		name += fmt.Sprintf(".%d", turn)
	}
	return name
}

func install(tmp, final string) error {
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp gives 0700
		return err
	}
	if err := atomicfile.SyncDir(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(final))
}

// prune removes what the new checkpoint of the given step makes superfluous:
// the same step saved before, and all earlier ones but the last keep-1 and the
// best. Later ones, which a run has that went back, stay until it has passed
// them.
func (s *Store) prune(step int, before []entry) error {
	kept := 1
	best, _ := s.pointed(bestFile)
	for _, e := range before {
		if e.step > step || e == best {
			continue
		}
		if e.step < step && kept < s.keep {
			kept++
			continue
		}
		// Renamed first: a folder that is half removed must not look like a
		// checkpoint.
		trash, err := os.MkdirTemp(s.dir, tempPrefix)
		if err == nil {
			err = os.Rename(filepath.Join(s.dir, e.name), filepath.Join(trash, e.name))
		}
		if err == nil {
			err = os.RemoveAll(trash)
		}
		if err != nil {
			return errors.Wrap(err, "checkpoint")
		}
	}
	return nil
}

// Latest opens the newest checkpoint that is whole: the one that the file
// "latest" names, or else the newest of those before it, or else the newest of
// all. damaged tells what was wrong with each that was passed over. It fails
// with ErrNone if none is left.
func (s *Store) Latest() (saved *Saved, damaged []error, err error) {
	entries, err := s.entries()
	if err != nil {
		return nil, nil, err
	}
	if latest, ok := s.pointed(latestFile); ok {
		// Stable: within each part the newest stay first.
		slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(latest.distance(a), latest.distance(b)) })
		if len(entries) == 0 || entries[0] != latest {
			damaged = append(damaged, errors.Wrapf(ErrCorrupt, "checkpoint: %s is gone", filepath.Join(s.dir, latest.name)))
		}
	}
	for _, e := range entries {
		saved, err := OpenSaved(filepath.Join(s.dir, e.name))
		if err == nil {
			return saved, damaged, nil
		}
		damaged = append(damaged, err)
	}
	if len(damaged) > 0 {
		return nil, damaged, errors.Wrapf(ErrNone, "checkpoint: %s: all are damaged, the newest: %v", s.dir, damaged[0])
	}
	return nil, nil, errors.Wrapf(ErrNone, "checkpoint: %s", s.dir)
}

// pointed is the checkpoint that a pointer file names, if there is one.
func (s *Store) pointed(file string) (entry, bool) {
	buf, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return entry{}, false
	}
	return parseEntry(strings.TrimSpace(string(buf)))
}

// distance orders the others after latest: 0 for itself, 1 for those before it,
// 2 for those of later steps, which the run went back from.
func (latest entry) distance(e entry) int {
	switch {
	case e == latest:
		return 0
	case e.step <= latest.step:
		return 1
	}
	return 2
}
