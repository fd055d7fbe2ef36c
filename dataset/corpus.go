package dataset

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// Corpus is a text to train on.
type Corpus struct {
	Text   string
	Source string // where it comes from, for a person: a path, or "made by gorget"
	Made   bool   // no text was found, the program made one
}

// LoadCorpus reads a text file. It fails with ErrEmpty, or with a *TextError
// naming the byte that is not UTF-8.
func LoadCorpus(path string) (Corpus, error) {
	buf, err := os.ReadFile(path)
	if err != nil {
		return Corpus{}, errors.Wrap(err, "dataset: corpus")
	}
	c := Corpus{Text: string(buf), Source: path}
	if c.Text == "" {
		return Corpus{}, errors.Wrapf(ErrEmpty, "dataset: corpus %s", path)
	}
	if err := CheckUTF8(c.Text); err != nil {
		return Corpus{}, errors.WithMessagef(err, "corpus %s", path)
	}
	return c, nil
}

// opticks is the text that comes with every Go distribution: Isaac Newton,
// Opticks, fourth edition, 1730 (Project Gutenberg), 567,198 bytes.
const opticks = "src/testdata/Isaac.Newton-Opticks.txt"

// DefaultCorpus is a text for a machine where nobody named one: Newton's
// Opticks from the Go distribution, looked for under $GOROOT and then where the
// go command says; without a Go distribution a made-up text, with Made set.
func DefaultCorpus() Corpus {
	for _, root := range []func() string{func() string { return os.Getenv("GOROOT") }, goCommandRoot} {
		dir := root()
		if dir == "" {
			continue
		}
		if c, err := LoadCorpus(filepath.Join(dir, filepath.FromSlash(opticks))); err == nil {
			return c
		}
	}
	return MadeCorpus(20000)
}

// goCommandRoot asks the go command; a binary built with -trimpath does not
// know its GOROOT itself.
func goCommandRoot() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// MadeCorpus is a text of the given number of sentences from a small grammar,
// always the same. A model can learn its spelling, its word order and which
// verbs go with which nouns.
func MadeCorpus(sentences int) Corpus {
	rng := rand.New(rand.NewPCG(1730, 0))
	pick := func(words []string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	for i := range sentences {
		kind := kinds[rng.IntN(len(kinds))]
		s := pick(openings) + "the " + pick(kind.adjectives) + " " + pick(kind.nouns) + " " + pick(kind.verbs)
		s += pick([]string{"", " " + pick(adverbs)})
		s += pick([]string{"", " and " + pick(kind.verbs), " because the " + pick(kind.nouns) + " " + pick(kind.verbs)})
		b.WriteString(strings.ToUpper(s[:1]) + s[1:] + ".")
		if i%8 == 7 {
			b.WriteString("\n\n")
		} else {
			b.WriteString(" ")
		}
	}
	return Corpus{Text: b.String(), Source: "made by gorget", Made: true}
}

var (
	openings = []string{"", "", "", "today ", "in the morning ", "after the rain ", "as everyone knows, "}
	adverbs  = []string{"slowly", "at once", "without a sound", "again and again", "towards the light"}
	kinds    = []struct{ adjectives, nouns, verbs []string }{
		{
			[]string{"old", "quiet", "young", "careful"},
			[]string{"teacher", "sailor", "gardener", "queen"},
			[]string{"reads a letter", "walks home", "counts the stars", "opens the door"},
		},
		{
			[]string{"red", "pale", "bright", "broken"},
			[]string{"ray", "lamp", "prism", "mirror"},
			[]string{"bends", "shines on the wall", "fades", "parts into colours"},
		},
		{
			[]string{"small", "grey", "hungry", "swift"},
			[]string{"fox", "heron", "mouse", "horse"},
			[]string{"runs across the field", "sleeps", "waits in the reeds", "drinks"},
		},
	}
)
