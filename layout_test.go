package gorget_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gorget/gorget/"

// allowed lists, for each package, the packages of this module that it may
// import. Imports run one way: numbers know no tensors, ops no models, the
// graph no solvers, solvers no models.
var allowed = map[string][]string{
	"internal/kernel":        {},
	"internal/golden":        {},
	"internal/op":            {"internal/kernel"},
	"blas":                   {"internal/kernel"},
	"graph":                  {"internal/kernel", "internal/op"},
	"groups":                 {"graph"},
	"solvers":                {"graph", "groups", "internal/kernel"},
	"gptblock":               {"graph", "internal/kernel", "internal/op"},
	"dataset":                {"internal/atomicfile"},
	"checkpoint":             {"graph", "solvers", "checkpoint/safetensors", "internal/atomicfile"},
	"checkpoint/hf":          {"graph", "gptblock", "checkpoint", "checkpoint/safetensors", "internal/atomicfile"},
	"checkpoint/safetensors": {},
	"presets":                {"gptblock", "graph", "groups", "solvers"},
	"train":                  {"graph", "groups", "internal/kernel", "solvers"},
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		may, listed := allowed[pkg]
		if !listed {
			continue // the packages on top may import everything below
		}
		seen[pkg] = true
		for _, imp := range fields[1:] {
			if strings.HasPrefix(imp, module) {
				require.Contains(t, may, strings.TrimPrefix(imp, module), "%s imports %s", pkg, imp)
			}
		}
	}
	for pkg := range allowed {
		require.True(t, seen[pkg], "package %s is gone: mend the table", pkg)
	}
}
