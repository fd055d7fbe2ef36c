package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Winner says which side counts where a checkpoint and the present disagree.
type Winner string

// The winners.
const (
	Neither Winner = ""        // a difference is an error; the default
	Theirs  Winner = "saved"   // the checkpoint's configuration
	Ours    Winner = "current" // the one given now
)

// Difference is one field of a configuration that differs.
type Difference struct {
	Path           string // as in "recipe.lr" or "model.windows[1]"
	Saved, Current string // as JSON; "" if it is not there
}

// String names the field and both values: recipe.lr = 0.1 in the checkpoint, 0.2 now.
func (d Difference) String() string {
	show := func(s string) string {
		if s == "" {
			return "not set"
		}
		return s
	}
	return fmt.Sprintf("%s = %s in the checkpoint, %s now", d.Path, show(d.Saved), show(d.Current))
}

// ConfigError lists how the configuration of a checkpoint differs from the one
// that a run was asked to go on with.
type ConfigError struct {
	Dir         string
	Differences []Difference // sorted by path
}

// Error names each difference.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return fmt.Sprintf("checkpoint: %s was made with another configuration: %s", e.Dir, strings.Join(lines, "; "))
}

// Reconcile compares the checkpoint's configuration and corpus with those of
// the run that is to go on from it. current points to the configuration of that
// run, of the type that was saved. If they differ, and winner is Neither, it
// fails with a *[ConfigError] that names every difference; with Theirs it
// overwrites *current with what was saved (a corpus cannot be overwritten:
// another one stays an error); with Ours it lets the difference be. Differences
// at or below the paths in free (such as "out") do not count and *current keeps
// its own.
func (v *Saved) Reconcile(current any, corpus string, winner Winner, free ...string) error {
	if winner != Neither && winner != Theirs && winner != Ours {
		return errors.Errorf("checkpoint: winner = %q, want %q, %q or %q", winner, Neither, Theirs, Ours)
	}
	if to := reflect.ValueOf(current); to.Kind() != reflect.Pointer || to.IsNil() {
		return errors.Errorf("checkpoint: current is a %T, want a pointer to the configuration", current)
	}
	saved, err := flatten(v.state.Config)
	if err != nil {
		return errors.WithMessagef(err, "checkpoint: %s", v.dir)
	}
	raw, err := json.Marshal(current)
	if err != nil {
		return errors.Wrap(err, "checkpoint: config")
	}
	now, err := flatten(raw)
	if err != nil {
		return errors.WithMessage(err, "checkpoint: config")
	}
	e := &ConfigError{Dir: v.dir}
	for _, path := range slices.Sorted(maps.Keys(union(saved, now))) {
		if saved[path] != now[path] && !covered(path, free) {
			e.Differences = append(e.Differences, Difference{path, saved[path], now[path]})
		}
	}
	other := Difference{"corpus", v.state.Corpus, corpus}
	switch {
	case winner == Ours:
		return nil
	case other.Saved != other.Current && winner == Theirs:
		return &ConfigError{Dir: v.dir, Differences: []Difference{other}}
	case other.Saved != other.Current:
		e.Differences = append(e.Differences, other)
	}
	if len(e.Differences) == 0 {
		return nil
	}
	if winner == Neither {
		return e
	}
	return v.overwrite(current, raw, free)
}

// overwrite sets *current to what was saved, but for the free paths.
func (v *Saved) overwrite(current any, raw []byte, free []string) error {
	saved, err := decodeAny(v.state.Config)
	if err != nil {
		return errors.WithMessagef(err, "checkpoint: %s", v.dir)
	}
	now, err := decodeAny(raw)
	if err != nil {
		return errors.WithMessage(err, "checkpoint: config")
	}
	merged, err := json.Marshal(merge("", saved, now, free))
	if err != nil {
		return errors.Wrap(err, "checkpoint: config")
	}
	// What is not in JSON because it is empty must become empty.
	reflect.ValueOf(current).Elem().SetZero()
	return v.decode("config", merged, current)
}

// merge is saved with now's values at the free paths, within objects.
func merge(path string, saved, now any, free []string) any {
	if path != "" && covered(path, free) {
		return now
	}
	s, ok := saved.(map[string]any)
	n, both := now.(map[string]any)
	if !ok || !both {
		return saved
	}
	out := map[string]any{}
	for key := range union(s, n) {
		p := join(path, key)
		_, isSaved := s[key]
		if _, isNow := n[key]; covered(p, free) && !isNow || !covered(p, free) && !isSaved {
			continue
		}
		out[key] = merge(p, s[key], n[key], free)
	}
	return out
}

func union[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// covered reports whether path is one of paths or below one.
func covered(path string, paths []string) bool {
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func decodeAny(raw []byte) (x any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // digits as they are
	err = dec.Decode(&x)
	return x, errors.Wrap(err, "config")
}

// flatten maps the path of each leaf to its JSON.
func flatten(raw []byte) (map[string]string, error) {
	x, err := decodeAny(raw)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var walk func(path string, x any)
	walk = func(path string, x any) {
		switch x := x.(type) {
		case map[string]any:
			for key, v := range x {
				walk(join(path, key), v)
			}
		case []any:
			for i, v := range x {
				walk(fmt.Sprintf("%s[%d]", path, i), v)
			}
		default:
			leaf, _ := json.Marshal(x) // a string, number, bool or null
			out[path] = string(leaf)
		}
	}
	walk("", x)
	return out, nil
}
