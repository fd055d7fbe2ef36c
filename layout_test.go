package gorget_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gorget/gorget/"

const (
	errs     = "github.com/pkg/errors"
	gorgonia = "gorgonia.org/"
	gonum    = "gonum.org/v1/gonum/"
)

// layers lists, for each package, what it may import apart from the standard
// library: packages of this module by name, those of others by the start of
// their path. Imports run one way: numbers know no tensors, ops no models, the
// graph no solvers, solvers no models, data nothing of all that.
var layers = map[string][]string{
	"internal/kernel":     {"golang.org/x/sys/cpu"},
	"internal/atomicfile": {},
	"internal/machine":    {"internal/kernel"},
	"internal/golden":     {errs, "github.com/nlpodyssey/safetensors"},
	"internal/op":         {"internal/kernel", errs, gorgonia, "github.com/chewxy/hm"},

	"blas":     {"internal/kernel", gonum},
	"graph":    {"internal/kernel", "internal/op", errs, gorgonia, gonum, "go4.org/unsafe/assume-no-moving-gc"},
	"groups":   {"graph", errs, gorgonia},
	"solvers":  {"graph", "groups", "internal/kernel", errs, gorgonia},
	"gptblock": {"graph", "internal/kernel", "internal/op", errs, gorgonia},
	"sample":   {errs},

	"dataset":                {"internal/atomicfile", errs},
	"dataset/bpe":            {"dataset", errs, "github.com/tiktoken-go/tokenizer"},
	"checkpoint/safetensors": {errs},
	"checkpoint":             {"graph", "solvers", "checkpoint/safetensors", "internal/atomicfile", errs, gorgonia},
	"checkpoint/hf":          {"graph", "gptblock", "checkpoint", "checkpoint/safetensors", "internal/atomicfile", errs, gorgonia},

	"presets": {"gptblock", "graph", "groups", "solvers", errs, gorgonia},
	"train":   {"graph", "groups", "internal/kernel", "solvers", errs, gorgonia, "google.golang.org/protobuf/encoding/protowire"},
}

// programs stand on top and may import everything.
var programs = []string{"benchmarks", "cmd/", "examples/"}

// noTensors are the packages that neither Gorgonia nor its tensors enter, on
// however long a way.
var noTensors = []string{
	"internal/kernel", "internal/atomicfile", "internal/machine", "blas", "sample",
	"dataset", "dataset/bpe", "checkpoint/safetensors",
}

// list is the wanted field, a list of packages, of each package of the module.
func list(t *testing.T, field string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}} {{join .`+field+` " "}}{{end}}`, "./...").Output()
	require.NoError(t, err)
	pkgs := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		if pkg, ours := strings.CutPrefix(fields[0], module); ours {
			pkgs[pkg] = fields[1:]
		}
	}
	return pkgs
}

func startsWithAny(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func TestImportsRunOneWay(t *testing.T) {
	seen := list(t, "Imports")
	for pkg, imports := range seen {
		may, listed := layers[pkg]
		if !listed {
			require.True(t, startsWithAny(pkg, programs), "package %s is new: add it to the table", pkg)
			continue
		}
		for _, imp := range imports {
			if own, ours := strings.CutPrefix(imp, module); ours {
				require.Contains(t, may, own, "%s imports %s", pkg, imp)
			} else if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
				require.True(t, startsWithAny(imp, may), "%s imports %s", pkg, imp)
			}
		}
	}
	for pkg := range layers {
		require.Contains(t, seen, pkg, "a package of the table is gone")
	}
}

func TestTensorsStayOut(t *testing.T) {
	deps := list(t, "Deps")
	for _, pkg := range noTensors {
		for _, dep := range deps[pkg] {
			require.False(t, strings.HasPrefix(dep, gorgonia), "%s depends on %s", pkg, dep)
		}
	}
}
