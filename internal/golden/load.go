package golden

import (
	"embed"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
	"github.com/pkg/errors"
)

//go:embed testdata
var files embed.FS

// File is a golden file: named tensors and the header that says how they were
// made.
type File struct {
	name    string
	header  string
	tensors map[string]Tensor
}

// Open reads testdata/name.safetensors; name has no extension. It fails if
// there is no such file, or if it is not a golden file.
func Open(name string) (*File, error) {
	buf, err := files.ReadFile("testdata/" + name + ".safetensors")
	if err != nil {
		return nil, errors.Wrap(err, "golden")
	}
	return parse(name, buf)
}

// Load is Open for tests: it ends the test if the file cannot be read.
func Load(tb testing.TB, name string) *File {
	tb.Helper()
	f, err := Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// Dir copies the folder testdata/name, a checkpoint that transformers wrote,
// to a temporary folder of the test and returns its path.
func Dir(tb testing.TB, name string) string {
	tb.Helper()
	sub, err := fs.Sub(files, "testdata/"+name)
	if err == nil {
		_, err = fs.Stat(sub, ".")
	}
	dir := tb.TempDir()
	if err == nil {
		err = os.CopyFS(dir, sub)
	}
	if err != nil {
		tb.Fatal(errors.Wrap(err, "golden"))
	}
	return dir
}

func parse(name string, buf []byte) (*File, error) {
	st, err := safetensors.Deserialize(buf)
	if err != nil {
		return nil, errors.Wrapf(err, "golden: %s", name)
	}
	_, meta, err := safetensors.ReadMetadata(buf)
	if err != nil {
		return nil, errors.Wrapf(err, "golden: %s", name)
	}
	f := &File{name: name, header: meta.Metadata()["golden"], tensors: make(map[string]Tensor, st.Len())}
	if f.header == "" {
		return nil, errors.Errorf("golden: %s: no metadata %q, want a JSON header", name, "golden")
	}
	for _, v := range st.Tensors() {
		t, err := newTensor(v)
		if err != nil {
			return nil, errors.Wrapf(err, "golden: %s", name)
		}
		f.tensors[v.Name] = t
	}
	return f, nil
}

// Header decodes the JSON header into v, or ends the test.
func (f *File) Header(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(f.header), v); err != nil {
		tb.Fatalf("golden: %s: header: %v", f.name, err)
	}
}

// Names returns the tensors' names in sorted order.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.tensors))
	for n := range f.tensors {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the file holds a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Tensor returns the tensor of that name, or ends the test.
func (f *File) Tensor(tb testing.TB, name string) Tensor {
	tb.Helper()
	t, ok := f.tensors[name]
	if !ok {
		tb.Fatalf("golden: %s holds no tensor %q", f.name, name)
	}
	return t
}

// Under returns the tensors whose name begins with prefix, keyed by the rest of
// their name: Under("grad/") maps each parameter to its gradient.
func (f *File) Under(prefix string) map[string]Tensor {
	out := make(map[string]Tensor)
	for n, t := range f.tensors {
		if rest, ok := strings.CutPrefix(n, prefix); ok {
			out[rest] = t
		}
	}
	return out
}
