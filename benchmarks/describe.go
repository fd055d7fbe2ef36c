package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/gorget/gorget/internal/kernel"
)

// describeMachine says in a line what the figures were measured on.
func describeMachine() string {
	return fmt.Sprintf("%s, %d threads, kernels for %s, %s memory; %s %s/%s",
		orUnknown(procField("/proc/cpuinfo", "model name")), runtime.GOMAXPROCS(0), kernel.InstructionSet(),
		orUnknown(procField("/proc/meminfo", "MemTotal")), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// procField is the value of the first line "name : value" of a file, "" where
// there is none.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
