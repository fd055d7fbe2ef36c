package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// The peers are scripts that speak the protocol of process.
//
//go:embed peers/*.py
var peerScripts embed.FS

// startPeer runs a script in a Python of the user's, with the job as its
// argument.
func startPeer(ctx context.Context, label, python, script string, env []string, job any) (*process, error) {
	source, err := peerScripts.ReadFile("peers/" + script)
	if err != nil {
		return nil, err
	}
	argument, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "-c", string(source), string(argument))
	cmd.Env = append(os.Environ(), env...)
	p, err := start(label, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", script, python, err)
	}
	p.peer = true
	return p, nil
}

func closeAll(contenders []contender) {
	for _, c := range contenders {
		c.close()
	}
}
