#!/bin/sh
# Collects what iamframe reads of an AWS account: sh collect.sh [REGION ...]
#
# It only reads, with the AWS CLI (1 or 2) and the credentials that the CLI finds; AWS's managed policies SecurityAudit
# and ReadOnlyAccess allow all of it. It leaves one zip in the folder that it is run in. In the zip are roles and
# instance profiles (names, paths, ids, tags, trust policies, last use) and what names a profile: instances, launch
# templates and configurations, Auto Scaling groups, spot requests, fleets. Not in it: what other services than EC2 and
# Auto Scaling use, what a role may do, user data, keys, credentials. What AWS does not answer becomes a line of
# denied.csv in the zip, and the script goes on.
# Exit status: 0 all was read, 1 something was not, 2 nothing was and there is no zip.
set -fu
umask 077
export AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=10 AWS_PAGER='' PYTHONUTF8=1 PYTHONIOENCODING=UTF-8

# Where to look for what names a profile; all enabled regions where none are given.
regions=''
regions=${*:-$regions}

say() { printf 'collect: %s\n' "$*" >&2; }
stop() { say "$*"; exit 2; }

# ask FILE SUBJECT SERVICE COMMAND [OPTION ...]: FILE.json is the whole answer; where there is none, FILE.denied is the
# line for denied.csv: what was asked, of what, and the error code of AWS (or, without one, the words of the AWS CLI).
ask() {
  file=$1 subject=$2
  shift 2
  if aws "$@" --output json >"$file.part" 2>"$file.error" </dev/null; then
    mv "$file.part" "$file.json"
    rm "$file.error"
    return 0
  fi
  code=$(sed -n 's/.*An error occurred (\([^)]*\)) when calling.*/\1/p' "$file.error")
  code=$(printf %s "${code:-$(cat "$file.error")}" | LC_ALL=C tr -s '[:space:]' ' ' | LC_ALL=C tr -cd '[:print:]')
  code=$(printf %s "${code:-the AWS CLI ended without a word}" | sed 's/"/""/g')
  printf '"%s","%s","%s"\n' "$1 $2" "$subject" "$code" >"$file.denied"
  rm "$file.part" "$file.error"
  return 1
}

# either GET TAGS OPTION NAME: a role or profile with its tags; where that is denied, its tags alone.
either() {
  ask "$1/$4" "$4" iam "$1" "--$3=$4" || { ask "${2#list-}/$4" "$4" iam "$2" "--$3=$4" && rm "$1/$4.denied"; }
}

# look SERVICE COMMAND QUERY [OPTION ...]: one list of a region, and of it only what the query picks.
look() {
  from=$1 list=$2 query=$3
  shift 3
  together ask "$region/$list" "$region" "$from" "$list" --region="$region" --query="$query" "$@"
}

# together COMMAND ...: runs it beside others, four at a time; `wait` waits for the last ones.
started=0
together() {
  "$@" &
  started=$((started + 1))
  [ $((started % 4)) -ne 0 ] || wait
}

# names KEY FILE ...: the names under a key of JSON as the AWS CLI prints it, one key a line.
names() {
  key=$1
  shift
  cat "$@" 2>/dev/null | sed -n "s/^ *\"$key\": \"\([A-Za-z0-9_+=,.@-]\{1,\}\)\",*\$/\1/p" | LC_ALL=C sort -u
}

command -v aws >/dev/null || stop 'there is no AWS CLI; install it, or run this in AWS CloudShell'
for region in $regions; do
  case $region in -* | *[!a-z0-9-]*) stop "$region is no region; write it like eu-west-1" ;; esac
done
start=$PWD
work=$(mktemp -d "$start/iamframe.XXXXXX") || stop "$start cannot be written to; go to a folder of your own"
trap 'wait; cd /; rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
mkdir "$work/files"
cd "$work/files" || exit 2
mkdir get-instance-profile instance-profile-tags get-role role-tags for-role

# Whose account this is. It needs no permission, so that a failure other than a denial fails all else too.
ask get-caller-identity '' sts get-caller-identity || grep -q AccessDenied get-caller-identity.denied ||
  stop "AWS did not say whose account this is ($(cat get-caller-identity.denied)); check the credentials"
account=$(names Account get-caller-identity.json)
say "account ${account:-unknown}: roles and instance profiles"

# Counts and quotas, the account's alias; all roles with tags and profiles, without what they may do; all profiles.
together ask get-account-summary '' iam get-account-summary
together ask list-account-aliases '' iam list-account-aliases
together ask get-account-authorization-details '' iam get-account-authorization-details --filter Role --query \
  '{RoleDetailList: RoleDetailList[].merge(@, {RolePolicyList: `[]`, AttachedManagedPolicies: `[]`})}'
together ask list-instance-profiles '' iam list-instance-profiles
wait

# Each profile, since no list carries its tags.
found=$(names InstanceProfileName list-instance-profiles.json get-account-authorization-details.json)
[ -f list-instance-profiles.json ] || say 'instance profiles could not be listed; those of roles that can be read follow'
say "$(printf %s "$found" | grep -c .) instance profiles, one request each"
for name in $found; do
  together either get-instance-profile list-instance-profile-tags instance-profile-name "$name"
done

# Without the roles' details: the list of roles, then each, and the profiles that hold it where those were not listed.
if [ ! -f get-account-authorization-details.json ]; then
  ask list-roles '' iam list-roles
  found=$(names RoleName list-roles.json list-instance-profiles.json)
  say "$(printf %s "$found" | grep -c .) roles, one request each"
  for name in $found; do together either get-role list-role-tags role-name "$name"; done
  [ -f list-instance-profiles.json ] || for name in $found; do
    together ask "for-role/for-role-$name" "$name" iam list-instance-profiles-for-role --role-name="$name"
  done
fi

# What names a profile, region by region.
if [ -z "$regions" ]; then
  ask describe-regions '' ec2 describe-regions ||
    ask list-regions '' account list-regions --region-opt-status-contains ENABLED ENABLED_BY_DEFAULT
  regions=$(names RegionName describe-regions.json list-regions.json)
  rm -f describe-regions.json list-regions.json
  regions=${regions:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
  [ -n "$regions" ] || say 'no region is known to look in; name regions behind the command'
fi
# Instances that AWS manages are shown to whoever asks for them, which an older CLI cannot; this sends no request.
managed=--include-managed-resources
aws ec2 describe-instances "$managed" --region=us-east-1 --generate-cli-skeleton output </dev/null >/dev/null 2>&1 ||
  managed=''
version='{LaunchTemplateVersions: LaunchTemplateVersions[].{
  LaunchTemplateId: LaunchTemplateId, LaunchTemplateName: LaunchTemplateName, VersionNumber: VersionNumber,
  DefaultVersion: DefaultVersion, LaunchTemplateData: {IamInstanceProfile: LaunchTemplateData.IamInstanceProfile}}}'
for region in $regions; do
  mkdir "$region" || continue
  say "region $region: what names a profile"
  look ec2 describe-instances "{Reservations: Reservations[].{OwnerId: OwnerId, Instances: Instances[].{
    InstanceId: InstanceId, State: State, Placement: {AvailabilityZone: Placement.AvailabilityZone},
    IamInstanceProfile: IamInstanceProfile, Tags: Tags[?Key=='Name']}}}" --page-size=1000 $managed
  look ec2 describe-iam-instance-profile-associations '{IamInstanceProfileAssociations: IamInstanceProfileAssociations}'
  look ec2 describe-launch-templates '{LaunchTemplates: LaunchTemplates}'
  look ec2 describe-launch-template-versions "$version" --versions '$Latest' '$Default' $managed
  look autoscaling describe-launch-configurations '{LaunchConfigurations: LaunchConfigurations[].{
    LaunchConfigurationName: LaunchConfigurationName, LaunchConfigurationARN: LaunchConfigurationARN,
    IamInstanceProfile: IamInstanceProfile}}'
  look autoscaling describe-auto-scaling-groups '{AutoScalingGroups: AutoScalingGroups[].{
    AutoScalingGroupName: AutoScalingGroupName, AutoScalingGroupARN: AutoScalingGroupARN, Status: Status,
    LaunchConfigurationName: LaunchConfigurationName, LaunchTemplate: LaunchTemplate,
    MixedInstancesPolicy: MixedInstancesPolicy}}'
  look ec2 describe-spot-instance-requests '{SpotInstanceRequests: SpotInstanceRequests[].{
    SpotInstanceRequestId: SpotInstanceRequestId, InstanceId: InstanceId, State: State,
    LaunchSpecification: {IamInstanceProfile: LaunchSpecification.IamInstanceProfile}}}'
  look ec2 describe-spot-fleet-requests '{SpotFleetRequestConfigs: SpotFleetRequestConfigs[].{
    SpotFleetRequestId: SpotFleetRequestId, SpotFleetRequestState: SpotFleetRequestState, SpotFleetRequestConfig: {
    LaunchSpecifications: SpotFleetRequestConfig.LaunchSpecifications[].{IamInstanceProfile: IamInstanceProfile},
    LaunchTemplateConfigs: SpotFleetRequestConfig.LaunchTemplateConfigs}}}'
  look ec2 describe-fleets '{Fleets: Fleets[].{
    FleetId: FleetId, FleetState: FleetState, LaunchTemplateConfigs: LaunchTemplateConfigs}}'
  wait
  # All versions of the launch templates that may have others than the newest and the default one, and of those that
  # groups and fleets start from and no list showed. iamframe knows by the name of the file that these are all.
  for list in launch-template-versions auto-scaling-groups spot-fleet-requests fleets; do
    cat "$region/describe-$list.json" 2>/dev/null
  done | awk -F'"' '/[{]$/ {id = ""}
    $2 == "LaunchTemplateId" && $4 ~ /^[a-z0-9-]+$/ {id = $4}
    $2 == "VersionNumber" && id {number = $3; gsub(/[^0-9]/, "", number); read[id] += !seen[id, number]++
      if (number + 0 > newest[id]) newest[id] = number + 0}
    $2 == "Version" && id {pinned[id] = 1}
    END {for (id in newest) if (read[id] < newest[id]) print id
      for (id in pinned) if (!(id in newest)) print id}' | LC_ALL=C sort >"$work/templates"
  while read -r id; do
    together ask "$region/versions-$id" "$region" ec2 describe-launch-template-versions --region="$region" \
      --launch-template-id="$id" --query="$version" $managed
  done <"$work/templates"
done
wait

# One zip, which overwrites nothing.
find . -name '*.denied' -exec cat {} + | LC_ALL=C sort >"$work/denied"
find . -name '*.denied' -exec rm {} +
{ echo operation,subject,error_code; cat "$work/denied"; } >denied.csv
tell() {
  awk -F'","' '{print substr($1, 2) ": " substr($3, 1, length($3) - 1)}' "$work/denied" | sort | uniq -c >&2
}
if [ -z "$(find . -name '*.json')" ]; then
  say 'AWS answered nothing:'
  tell
  stop 'there is no zip; ask for the permissions of SecurityAudit, and run this again'
fi
out=$start/iamframe-${account:-unknown}-$(date -u +%Y%m%d-%H%M%S).zip
if command -v zip >/dev/null; then zip -qrD "$work/made.zip" .; else python3 -m zipfile -c "$work/made.zip" .; fi ||
  stop 'the zip could not be made; make room, have zip or python3 there, and run this again'
[ ! -e "$out" ] || stop "$out is there already; run this again"
mv "$work/made.zip" "$out"
if [ -s "$work/denied" ]; then
  say 'AWS did not answer all, which denied.csv in the zip says too:'
  tell
fi
printf 'Made %s; read it with: iamframe report %s\n' "$out" "${out##*/}"
[ ! -s "$work/denied" ]
