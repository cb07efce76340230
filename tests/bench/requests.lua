-- The requests of wrk: wrk -s requests.lua URL -- path=/small [depth=8] [body=1000000] [close=1]
--
-- They name 16 services in turn. With depth that many go out at once; with body
-- they are POSTs of that many bytes; with close each has a connection of its own.

local SERVICES = 16
local batches, turn = {}, 0

local function options_of(args)
    local options = {}
    for _, argument in ipairs(args) do
        local name, value = argument:match("(%w+)=(.*)")
        options[name] = value
    end
    return options
end

function init(args)
    local options = options_of(args)
    local body = options.body and string.rep("u", tonumber(options.body))
    local headers = {}
    if options.close then
        headers["Connection"] = "close"
    end
    for first = 1, SERVICES do
        local batch = {}
        for i = 1, tonumber(options.depth or 1) do
            local service = (first + i - 2) % SERVICES + 1
            local target = options.path .. "?s=service" .. service
            batch[i] = wrk.format(body and "POST" or "GET", target, headers, body)
        end
        batches[first] = table.concat(batch)
    end
end

function request()
    turn = turn % SERVICES + 1
    return batches[turn]
end
